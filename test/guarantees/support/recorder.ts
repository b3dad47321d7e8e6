import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess } from "../../support/server-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { Wire } from "../../support/wire.ts";
import { type Content, Disk, type DiskCall } from "./disk.ts";
import type { Moment, RecordedRun, Told } from "./recorded-run.ts";
import { type RecordedCall, readRecording } from "./recording.ts";
import { slotsJson } from "./slots-command.ts";
import { isWhole, recording } from "./strace.ts";

export interface RecordedServer {
  readonly dataDir: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Records programs of ours that work in one folder, one after the other, and what they told. */
export class Recorder {
  /** The folder: only what changes below it counts. */
  readonly root: string;
  readonly #work = mkdtempSync(join(tmpdir(), "slots-recorded-"));
  readonly #calls: RecordedCall[] = [];
  readonly #told: Told[] = [];
  #before: Content = new Map();
  #disk = new Disk(new Map());

  constructor() {
    this.root = join(this.#work, "disk");
    mkdirSync(this.root);
    this.adopt();
  }

  /** Takes what is there by now for safe; before anything is recorded. */
  adopt(): void {
    this.#before = contentOf(this.root);
    this.#disk = new Disk(this.#before);
  }

  /** Notes what somebody outside knows from now on. Rounded up: it must not count before it was there. */
  tell(what: string): void {
    this.#told.push({ what, time: Date.now() + 1 });
  }

  /** A server, and all that is done with it. It is stopped in the end, unless it was killed. */
  async serve(
    server: RecordedServer,
    use: (wire: Wire, server: ServerProcess) => Promise<void>,
  ): Promise<void> {
    await this.#record(async (under) => {
      const process = await ServerProcess.start(options(server, under));
      try {
        const wire = new Wire(process.address, process.adminToken);
        await use(wire, process);
        wire.close();
        const { code, signal } = await process.stop();
        if (code !== 0 && signal !== "SIGKILL")
          throw new Error(`the recorded server ended with ${code}: ${process.output}`);
        return { killed: signal === "SIGKILL" };
      } finally {
        await process.kill();
      }
    });
  }

  /** A server that is killed before it is ready. */
  async serveKilled(server: RecordedServer): Promise<void> {
    await this.#record(async (under) => {
      const { signal, output } = await ServerProcess.startFailing(options(server, under));
      if (signal !== "SIGKILL") throw new Error(`the server was not killed: ${output}`);
      return { killed: true };
    });
  }

  /** A command of ours, to its end; what it tells as JSON. */
  async command(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> {
    let told: Record<string, unknown> = {};
    await this.#record(async (under) => {
      told = await slotsJson(args, env, under);
      return { killed: false };
    });
    return told;
  }

  /** What was recorded. `histories`: of each secret, from the beginning on. */
  run(histories: ReadonlyMap<string, readonly Moment[]>): RecordedRun {
    return { root: this.root, before: this.#before, calls: this.#calls, histories, told: this.#told };
  }

  dispose(): void {
    rmSync(this.#work, { recursive: true, force: true });
  }

  async #record(life: (under: readonly string[]) => Promise<{ readonly killed: boolean }>): Promise<void> {
    const log = join(this.#work, "calls.txt");
    rmSync(log, { force: true });
    const { killed } = await life(recording(log));
    // strace may be a little behind what it traces.
    await waitFor("the end of strace's log", () => isWhole(log));
    const calls = await readRecording(log, this.root);
    for (const { call } of calls) this.#disk.play(call);
    this.#calls.push(...calls);
    const missed = differences(this.#disk.seen, contentOf(this.root));
    // A kill may come inside a call: it is not known to have ended, and what it did is there all the same.
    if (!killed && missed.length > 0)
      throw new Error(
        `the recording does not tell of ${missed.map(({ kind, path }) => `${kind} ${path}`).join(", ")}`,
      );
    const time = calls.at(-1)?.time ?? 0;
    for (const call of missed) {
      this.#disk.play(call);
      this.#calls.push({ time, call });
    }
  }
}

function options({ dataDir, args = [], env = {} }: RecordedServer, under: readonly string[]) {
  const reserve = args.includes("--audit-reserve-bytes") ? [] : ["--audit-reserve-bytes", "0"];
  return { dataDir, under, env, args: ["--log-level", "error", ...reserve, ...args] };
}

/** All that is below a folder, and it itself. */
function contentOf(root: string): Content {
  const content = new Map<string, Buffer | "folder">([[root, "folder"]]);
  for (const entry of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    const path = join(root, entry);
    content.set(path, statSync(path).isDirectory() ? "folder" : readFileSync(path));
  }
  return content;
}

/** The calls that make one content of the other. What lies in shared memory (-shm) changes by no call and is made anew. */
function differences(from: Content, to: Content): DiskCall[] {
  const calls: DiskCall[] = [];
  for (const path of from.keys()) if (!to.has(path)) calls.push({ kind: "unlink", path });
  for (const [path, content] of to) {
    const was = from.get(path);
    if (content === "folder") {
      if (was === undefined) calls.push({ kind: "mkdir", path });
      continue;
    }
    if (was === undefined) calls.push({ kind: "create", path });
    const bytes = was === undefined || was === "folder" ? Buffer.alloc(0) : was;
    if (path.endsWith("-shm") || content.equals(bytes)) continue;
    if (content.length < bytes.length) calls.push({ kind: "truncate", path, size: content.length });
    const at = content.findIndex((byte, index) => byte !== bytes[index]);
    if (at >= 0) calls.push({ kind: "write", path, at, bytes: content.subarray(at) });
  }
  return calls;
}
