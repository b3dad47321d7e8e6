import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdminService } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { memoryOf } from "../../support/processes.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { Wire } from "../../support/wire.ts";
import { GoodClient } from "../support/good-client.ts";
import type { Known } from "./messages.ts";
import type { Caller } from "./targets.ts";

/** What a server may grow by under all of it. Twice what Node's heap takes before it cares to collect. */
const MEMORY_BYTES = 768 << 20;
const NAMES = ["fuzz/0", "fuzz/1", "fuzz/2", "fuzz/deep/er/3", "fuzz/many"];

/** A server that is attacked, with a good client beside whose calls must all succeed (S6). */
export class TargetServer {
  readonly address: string;
  readonly known: Known;
  readonly tokens: Readonly<Record<Caller, string | undefined>>;
  readonly server: ServerProcess;
  readonly #good: GoodClient;
  readonly #memory: number;

  private constructor(server: ServerProcess, known: Known, tokens: TargetServer["tokens"]) {
    this.server = server;
    this.address = server.address;
    this.known = known;
    this.tokens = tokens;
    this.#good = new GoodClient(server, { pauseMs: 20 });
    this.#memory = memoryOf(server.pid);
  }

  /** On a disk in memory, where there is one: how fast a disk flushes is not what is tested. */
  static async start({ workers = 1 } = {}): Promise<TargetServer> {
    const dataDir = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "slots-fuzz-"));
    const args = ["--log-level", "error", "--failed-logins-burst", "1000000"];
    if (workers > 1) args.push("--workers", `${workers}`);
    const server = await ServerProcess.start({ dataDir, args });
    const wire = new Wire(server.address, server.adminToken);
    try {
      const { token } = await wire.createToken("token:nobody");
      const tokens = { admin: server.adminToken, nobody: token, stranger: undefined };
      return new TargetServer(server, await fill(wire), tokens);
    } finally {
      wire.close();
    }
  }

  get calls(): { readonly count: number; readonly slowestMs: number; readonly busiestMs: number } {
    const { calls: count, slowestMs, busiestMs } = this.#good;
    return { count, slowestMs, busiestMs };
  }

  get grownBytes(): number {
    return memoryOf(this.server.pid) - this.#memory;
  }

  /** Throws when the server ended, said something of an error, grew out of bounds, or the good client noticed anything. */
  async mustBeWell(): Promise<void> {
    const { child, output } = this.server;
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output}`);
    await this.#good.next();
    const said = output.split("\n").filter((line) => line !== "" && !line.startsWith("listening on "));
    if (said.length > 0) throw new Error(`the server said: ${said.slice(0, 5).join("\n")}`);
    const grown = this.grownBytes;
    if (grown > MEMORY_BYTES) throw new Error(`the server grew by ${grown} bytes`);
  }

  async stop(): Promise<void> {
    await this.#good.close();
    await this.server.dispose();
  }
}

/** A store in which there is something to be found, and what a caller could know of it. */
async function fill(wire: Wire): Promise<Known> {
  const etags: string[] = [];
  const resumeTokens: string[] = [];
  let epoch = "";
  for (const name of NAMES) {
    for (let slot = 0n; slot < (name === "fuzz/many" ? 30n : 4n); slot += 1n)
      await wire.put(name, slot, `value ${slot}`);
    const described = await wire.call(SecretService.method.describeSecret, { name });
    etags.push(described.etag);
    epoch = described.epoch;
    const watch = wire.watch(name);
    resumeTokens.push((await watch.take()).resumeToken);
    watch.cancel();
  }
  const tokenIds: string[] = [];
  for (let index = 0; index < 20; index += 1)
    tokenIds.push((await wire.createToken(`token:fuzz-${index}`)).tokenId);
  const { keys } = await wire.call(AdminService.method.listMasterKeys, {});
  return { names: NAMES, epoch, etags, tokenIds, keyIds: keys.map(({ keyId }) => keyId), resumeTokens };
}
