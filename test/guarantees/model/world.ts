import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AdminService, Action as Right } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { MasterKey } from "../../../src/crypto/master-key.ts";
import { formatMasterKey } from "../../../src/crypto/master-key-text.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { Wire, WireError } from "../../support/wire.ts";
import { Machine } from "./machine/machine.ts";
import { TcpProxy } from "./proxy.ts";
import { type CheckpointMode, checkpoint, slots, standOf, wrappedByOthers } from "./upkeep.ts";

/** Client 0 administers and writes; the others read and watch, and can lose that. */
export const CLIENTS = 3;

export interface WorldOptions {
  /** The flags of each server beside those of all. Default: two servers without any. */
  readonly servers?: readonly (readonly string[])[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** More than the clock is set apart by programs, so that nothing is forgotten but by `forget`. */
const RETENTION_HOURS = 4;
/** Less than the 24 hours for which request ids are kept. */
const FORGET_MS = 8 * 3_600_000;

const CHANNEL = {
  // Servers come back within a second; waiting longer than that for them would only cost time.
  "grpc.initial_reconnect_backoff_ms": 20,
  "grpc.min_reconnect_backoff_ms": 20,
  "grpc.max_reconnect_backoff_ms": 100,
  "grpc.enable_retries": 0,
};

/** A copy of the store as of one revision. */
export interface Backup {
  readonly file: string;
  readonly revision: bigint;
  readonly epoch: string;
}

/** Server processes on one store, each behind a proxy, and the clients' identities. Runs one sequence at a time. */
export class World {
  readonly machine: Machine;
  readonly #folder: string;
  readonly #flags: readonly (readonly string[])[];
  readonly #env: Readonly<Record<string, string>>;
  /** Loaded by every server; one of them is the primary. */
  readonly #keys = [MasterKey.generate(), MasterKey.generate()];
  readonly #servers: ServerProcess[] = [];
  readonly #proxies: TcpProxy[] = [];
  #stores = 0;
  readonly #tokens: { token: string; tokenId: string; ordinal: number }[] = [];
  readonly #wires = new Map<string, Wire>();
  /** Whether a connection was broken since the last sequence began. */
  #hurt = false;
  readonly #old: Wire[] = [];
  readonly #ungranted = new Set<number>();
  #floor = 0n;

  private constructor({ servers = [[], []], args = [], env = {} }: WorldOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), "slots-world-"));
    this.machine = new Machine(join(this.#folder, "machine"));
    const keyFile = join(this.#folder, "keys");
    writeFileSync(keyFile, this.#keys.map(formatMasterKey).join("\n"), { mode: 0o600 });
    const common = ["--log-level", "warn", "--failed-logins-burst", "1000000", "--master-key-file", keyFile];
    common.push("--change-retention-hours", String(RETENTION_HOURS));
    this.#flags = servers.map((own) => [...common, ...args, ...own]);
    const { NODE_OPTIONS, ...machine } = this.machine.env;
    this.#env = {
      ...machine,
      ...env,
      NODE_OPTIONS: [NODE_OPTIONS, env.NODE_OPTIONS ?? ""].join(" "),
    };
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    try {
      for (let seat = 0; seat < world.servers; seat++) world.#proxies.push(await TcpProxy.start());
      // The first one makes the store.
      await world.#startSeat(0);
      await Promise.all(world.#flags.slice(1).map((_, index) => world.#startSeat(index + 1)));
      world.#tokens.push({ token: (world.#servers[0] as ServerProcess).adminToken, tokenId: "", ordinal: 0 });
      for (let client = 1; client < CLIENTS; client++) await world.#newToken(client);
      await world.#applyGrants();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get servers(): number {
    return this.#flags.length;
  }

  get #dataDir(): string {
    return join(this.#folder, `store-${this.#stores}`);
  }

  /** Which of its tokens a client holds, counted from 0. */
  token(client: number): number {
    return this.#tokens[client]?.ordinal ?? 0;
  }

  address(server: number): string {
    return (this.#proxies[server % this.servers] as TcpProxy).address;
  }

  /** Since when nobody gets through to a server, milliseconds of the machine's clock; undefined while they do. */
  awaySince(server: number): number | undefined {
    return this.#proxies[server % this.servers]?.closedSince;
  }

  /** The bearer token of the client that writes. */
  get adminToken(): string {
    return this.#tokens[0]?.token ?? "";
  }

  wire(client: number, server: number): Wire {
    const seat = server % this.servers;
    const { token } = this.#tokens[client] as { token: string };
    const key = `${seat} ${token}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) {
      wire = new Wire(this.address(seat), token, credentials.createInsecure(), CHANNEL);
      this.#wires.set(key, wire);
    }
    return wire;
  }

  /** The store's revision at which the client's token is gone. It holds a new one before its next call. */
  async revoke(client: number, server: number): Promise<bigint> {
    const { tokenId } = this.#tokens[client] as { tokenId: string };
    const { revision } = await this.admin(server, (wire) =>
      wire.call(AdminService.method.revokeToken, { tokenId }),
    );
    this.#forgetWires(client);
    return revision;
  }

  /** Leaves the channels of a token that is gone to the streams that are about to end. */
  #forgetWires(client: number): void {
    for (let seat = 0; seat < this.servers; seat++) {
      const key = `${seat} ${this.#tokens[client]?.token}`;
      const wire = this.#wires.get(key);
      if (wire !== undefined) this.#old.push(wire);
      this.#wires.delete(key);
    }
  }

  async #newToken(client: number): Promise<void> {
    const ordinal = (this.#tokens[client]?.ordinal ?? -1) + 1;
    const made = await this.admin(0, (wire) => wire.createToken(`token:client-${client}`));
    this.#tokens[client] = { ...made, ordinal };
  }

  renew(client: number): Promise<void> {
    return this.#newToken(client);
  }

  /** Takes or gives the right to read and watch; the revision at which it is so. */
  grant(client: number, granted: boolean, server: number): Promise<bigint> {
    if (granted) this.#ungranted.delete(client);
    else this.#ungranted.add(client);
    return this.#applyGrants(server);
  }

  get ungranted(): readonly number[] {
    return [...this.#ungranted];
  }

  async #applyGrants(server = 0): Promise<bigint> {
    const clients = Array.from({ length: CLIENTS - 1 }, (_, index) => index + 1);
    const policies = clients
      .filter((client) => !this.#ungranted.has(client))
      .map((client) => ({
        name: `client-${client}`,
        principals: [`token:client-${client}`],
        rules: [{ actions: [Right.READ, Right.WATCH, Right.LIST], names: ["*"] }],
      }));
    const { revision } = await this.admin(server, (wire) =>
      wire.call(AdminService.method.applyPolicies, { policies }),
    );
    return revision;
  }

  /** Calls that mean the same when they are made twice, until they are answered; by the next server each time. */
  async admin<T>(server: number, call: (wire: Wire, address: string) => Promise<T>): Promise<T> {
    const end = Date.now() + 30_000;
    for (let attempt = 0; ; attempt++) {
      try {
        return await call(this.wire(0, server + attempt), this.address(server + attempt));
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async kill(server: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    await this.#servers[seat]?.kill();
    await this.#restart(seat);
  }

  /** Kills one of a server's workers, which is replaced; the server, if it has none. */
  async killWorker(server: number): Promise<void> {
    const seat = server % this.servers;
    const pid = this.#servers[seat]?.child.pid;
    const workers = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").map(Number);
    const [worker = 0] = workers();
    if (worker === 0) return this.kill(server);
    this.#hurt = true;
    process.kill(worker, "SIGKILL");
    await waitFor("a worker that was killed is gone", () => !workers().includes(worker));
  }

  async stop(server: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    const exit = await this.#servers[seat]?.stop();
    if (exit?.code !== 0)
      throw new Error(`a server that was asked to stop ended with ${exit?.code ?? exit?.signal}`);
    await this.#restart(seat);
  }

  /** Ends all connections of a server, and lets nobody through for a while. */
  async cut(server: number, ms: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    const proxy = this.#proxies[seat];
    proxy?.to(undefined);
    proxy?.cut();
    await new Promise((resolve) => setTimeout(resolve, ms));
    proxy?.to(this.#servers[seat]?.address);
  }

  /** Holds all that goes to and from a server for a while, then lets it go on. */
  async hold(server: number, ms: number): Promise<void> {
    const proxy = this.#proxies[server % this.servers];
    proxy?.hold();
    await new Promise((resolve) => setTimeout(resolve, ms));
    proxy?.release();
  }

  async newEpoch(): Promise<void> {
    await this.#stopAll();
    for (let seat = 0; seat < this.servers; seat++)
      await this.#restart(seat, seat === 0 ? ["--new-epoch"] : []);
  }

  /** Changes up to this revision are forgotten. */
  get floor(): bigint {
    return this.#floor;
  }

  /** Sets the servers' clocks ahead until they have forgotten the changes so far, and back. Call while nobody writes. */
  async forget(): Promise<void> {
    const before = this.machine.clock;
    const { revision } = standOf(this.#dataDir);
    this.machine.setClock(FORGET_MS);
    // The newest change is always kept.
    await waitFor("the changes are forgotten", () => standOf(this.#dataDir).floor >= revision - 1n);
    this.machine.setClock(before);
    // Each server may have begun: what it is asked to write now comes after that.
    for (let seat = 0; seat < this.servers; seat++) await this.#applyGrants(seat);
    this.#floor = standOf(this.#dataDir).floor;
  }

  checkpoint(mode: CheckpointMode): void {
    checkpoint(this.#dataDir, mode);
  }

  /** Makes the other master key the primary, and retires the one that was if nothing needs it any more. */
  async rotate(server: number): Promise<void> {
    const { keys } = await this.admin(server, (wire) => wire.call(AdminService.method.listMasterKeys, {}));
    const old = keys.find(({ primary }) => primary)?.keyId ?? "";
    await this.#rotateTo(server, this.#keys.find(({ id }) => id !== old)?.id ?? "");
    await this.admin(server, (wire) =>
      wire.call(AdminService.method.retireMasterKey, { keyId: old }).catch((error: unknown) => {
        // The other rotation of this moment has made it the primary, or a put beside this one has used it, or it is gone.
        if (error instanceof WireError && /^KEY_(IN_USE|NOT_FOUND)$/.test(error.reason)) return undefined;
        throw error;
      }),
    );
  }

  /** Rotates to the key that is the primary; how many records another key wraps all the same. */
  async finishRotation(server: number): Promise<number> {
    const { keys } = await this.admin(server, (wire) => wire.call(AdminService.method.listMasterKeys, {}));
    await this.#rotateTo(server, keys.find(({ primary }) => primary)?.keyId ?? "");
    return wrappedByOthers(this.#dataDir);
  }

  #rotateTo(server: number, keyId: string): Promise<void> {
    return this.admin(server, async (wire) => {
      let done = false;
      for await (const step of wire.stream(AdminService.method.rotateMasterKey, { keyId }))
        done = step.complete;
      if (!done) throw new Error("a rotation ended before it was complete");
    });
  }

  async backup(server: number): Promise<Backup> {
    const file = join(this.#folder, "backup");
    const made = await this.admin(server, (_, address) =>
      slots(["backup", "create", "--force", "-o", file], {
        ...this.#env,
        SLOTS_ADDRESS: address,
        SLOTS_TOKEN: this.adminToken,
      }),
    );
    return { file, revision: BigInt(made.revision as string), epoch: made.epoch as string };
  }

  /**
   * Goes back to a backup; `between` is while no server runs. Each client then has a new token and its rights, whatever
   * was so at that time.
   */
  async restore({ file }: Backup, between: () => Promise<void>): Promise<void> {
    await this.#stopAll();
    await between();
    const left = this.#dataDir;
    this.#stores++;
    const keyFile = join(this.#folder, "keys");
    const to = ["--data-dir", this.#dataDir, "--master-key-file", keyFile];
    await slots(["backup", "restore", file, ...to], this.#env);
    rmSync(left, { recursive: true });
    await Promise.all(this.#flags.map((_, seat) => this.#restart(seat)));
    this.#ungranted.clear();
    for (let client = 1; client < CLIENTS; client++) {
      this.#forgetWires(client);
      await this.#newToken(client);
    }
    await this.#applyGrants();
  }

  async #stopAll(): Promise<void> {
    this.#hurt = true;
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  async #restart(seat: number, more: readonly string[] = []): Promise<void> {
    this.#proxies[seat]?.to(undefined);
    this.#proxies[seat]?.cut();
    await this.#startSeat(seat, more);
  }

  async #startSeat(seat: number, more: readonly string[] = []): Promise<void> {
    const server = await ServerProcess.start({
      args: [...(this.#flags[seat] ?? []), ...more],
      env: this.#env,
      dataDir: this.#dataDir,
    });
    this.#servers[seat] = server;
    this.#proxies[seat]?.to(server.address);
  }

  /** Call between sequences: gives back every right, and closes channels that nobody uses any more. */
  async tidy(): Promise<void> {
    for (const wire of this.#old.splice(0)) wire.close();
    this.machine.setClock(0);
    for (const client of this.#ungranted) await this.grant(client, true, 0);
    if (this.#hurt) await this.#whole();
    this.#hurt = false;
  }

  /** A channel that saw its server away stays closed for a while; the next sequence must not meet that as a failure. */
  async #whole(): Promise<void> {
    const end = Date.now() + 30_000;
    const answers = async (wire: Wire): Promise<void> => {
      for (;;) {
        const code = await wire.call(AdminService.method.whoAmI, {}).then(
          () => "OK",
          (error: unknown) => (error instanceof WireError ? error.code : "UNKNOWN"),
        );
        if (code === "OK" || code === "UNAUTHENTICATED" || Date.now() > end) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all([...this.#wires.values()].map(answers));
  }

  async close(): Promise<void> {
    for (const wire of this.#old) wire.close();
    for (const wire of this.#wires.values()) wire.close();
    for (const proxy of this.#proxies) proxy.close();
    await Promise.all(this.#servers.map((server) => server.kill()));
    this.machine.close();
    // Workers whose server was killed may write a little longer.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  get output(): string {
    return this.#servers.map(({ output }) => output).join("\n");
  }
}
