import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Keyring } from "../../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../../src/crypto/master-key-file.ts";
import { NODE, ServerProcess, SLOTS } from "../../support/server-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { Wire } from "../../support/wire.ts";
import { integrityOf } from "./integrity.ts";
import type { Random } from "./random.ts";
import { changeRecord, deliveryRecord, readStoredAudit } from "./stored-audit.ts";
import { Watcher } from "./watcher.ts";
import { Writer } from "./writer.ts";

const PATIENCE_MS = 60_000;
/** A machine that is too busy to write has its server killed all the same. */
const LOAD_MS = 5_000;
/** Calls that may fail before a writer gives up. */
const FAILURES = 3;
/** It has 5 s; the rest is for a machine that is busy. */
const STOP_MS = 60_000;
/** Starting is most of the work here, and most of that is compiling the same files again. */
const ENVIRONMENT = { NODE_COMPILE_CACHE: join(tmpdir(), "slots-compile-cache") };

interface Member {
  readonly server: ServerProcess;
  readonly wire: Wire;
  /** Streams of this member that have not ended. */
  readonly follows: Promise<string>[];
}

/** How a server ended by itself. */
export interface LaneExit {
  /** Whether it had been ready. */
  readonly started: boolean;
  /** Whether it had been asked to stop. */
  readonly asked?: boolean;
  readonly code: number | null;
  readonly signal: string | null;
}

export interface LaneOptions {
  readonly random: Random;
  readonly writers?: number;
  /** Server processes on the one store. */
  readonly servers?: number;
  readonly serverArgs?: readonly string[];
  /** Default: the one that the first start makes. */
  readonly masterKeyFile?: string;
}

/** How a server is to go wrong. */
export interface Fault {
  /** A command that runs the server's own. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Answered writes after which it ends. */
  readonly writes: number;
  /** Asked once no writer goes on: whether the server must end by itself, and is given time to. */
  readonly mustEnd?: () => boolean;
  /** Done beside the writers. */
  readonly beside?: (wire: Wire) => Promise<unknown>;
  /** What is still there at the end is asked to stop in order, and must, instead of being killed. */
  readonly inOrder?: boolean;
  /** Told when the server is ready and the load begins, and when it is asked to stop. */
  readonly onPhase?: (phase: "load" | "stop") => void;
}

/** One store, its servers, and the writers and watchers that see them killed and started again. */
export class Lane {
  readonly dataDir = mkdtempSync(join(tmpdir(), "slots-lane-"));
  readonly writers: readonly Writer[];
  readonly watchers: readonly Watcher[];
  readonly #random: Random;
  readonly #serverArgs: readonly string[];
  readonly #masterKeyFile: string;
  /** Of every server that is started. */
  env: Readonly<Record<string, string>> = {};
  readonly #members: (Member | undefined)[];
  #epoch = "";
  kills = 0;
  killsInStart = 0;

  constructor({ random, writers = 6, servers = 1, serverArgs = [], masterKeyFile }: LaneOptions) {
    this.#random = random;
    this.#serverArgs =
      masterKeyFile === undefined ? serverArgs : [...serverArgs, "--master-key-file", masterKeyFile];
    this.#masterKeyFile = masterKeyFile ?? join(this.dataDir, "master.key");
    this.writers = Array.from({ length: writers }, (_, index) => new Writer(`w/${index}`, random.fork()));
    this.watchers = this.writers.flatMap(({ ledger }) => [new Watcher(ledger), new Watcher(ledger)]);
    this.#members = Array.from({ length: servers }, () => undefined);
  }

  get answered(): number {
    return this.writers.reduce((sum, { done }) => sum + done, 0);
  }

  /** The way to a server that runs. */
  get wire(): Wire {
    return this.#running.wire;
  }

  /** What a command needs to call a server that runs. */
  get clientEnv(): Readonly<Record<string, string>> {
    const { address, adminToken } = this.#running.server;
    return { SLOTS_ADDRESS: address, SLOTS_TOKEN: adminToken };
  }

  get #running(): Member {
    const member = this.#members.find((each) => each !== undefined);
    if (member === undefined) throw new Error("no server runs");
    return member;
  }

  /** Starts what does not run, checks what must hold, and puts everything under load. */
  async begin(): Promise<void> {
    if (this.#members.every((member) => member === undefined)) this.#checkIntegrity();
    for (let index = 0; index < this.#members.length; index += 1) {
      this.#members[index] ??= await this.#start();
    }
    await this.#check();
  }

  /** Loads all servers, kills one once that many writes were answered, and checks at the others, when there are some. */
  round(writes: number): Promise<void> {
    const enough = this.answered + writes;
    return this.loadUntil(() => this.answered >= enough);
  }

  /** The same, until something else has happened. */
  async loadUntil(happened: () => boolean): Promise<void> {
    const stop = new AbortController();
    const members = this.#members.filter((member) => member !== undefined);
    const work = this.writers.map((writer, index) => {
      const member = members[index % members.length] as Member;
      return writer.run(member.wire, stop.signal);
    });
    const end = Date.now() + LOAD_MS;
    while (!happened() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
    await this.#kill(this.#random.below(this.#members.length));
    stop.abort();
    await Promise.all(work);
    if (this.#members.some((member) => member !== undefined)) await this.#check();
  }

  /** Starts a server once and stops it in order, which is when what was compiled is kept. */
  async warmUp(): Promise<void> {
    const { server, wire } = await this.#start();
    wire.close();
    await server.stop();
  }

  /** Kills a server while it starts. Needs all to be down. */
  async killInStart(afterMs: number): Promise<void> {
    const args = [SLOTS, "serve", "--data-dir", this.dataDir, "--listen", "127.0.0.1:0", ...this.#args];
    const child = spawn(NODE, args, {
      stdio: "ignore",
      env: { ...process.env, ...ENVIRONMENT },
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    await exited;
    clearTimeout(timer);
    this.kills += 1;
    this.killsInStart += 1;
  }

  /**
   * Loads a server that goes wrong until that many writes were answered, each writer failed, or the server ended by
   * itself; undefined when it had to be killed. Needs all to be down.
   */
  async underFault(fault: Fault): Promise<LaneExit | undefined> {
    const { under, env, writes, mustEnd, beside, inOrder, onPhase } = fault;
    const started = await this.#start(under, env).catch((error: Error) => error);
    if (started instanceof Error) {
      const [, code, signal] = /ended with (?:(\d+)|(\w+)) before/.exec(started.message) ?? [];
      if (code === undefined && signal === undefined) throw started;
      return { started: false, code: code === undefined ? null : Number(code), signal: signal ?? null };
    }
    this.#members[0] = started;
    onPhase?.("load");
    this.#follow([started]);
    const stop = new AbortController();
    const enough = this.answered + writes;
    const work = this.writers.map(async (writer) => {
      let failures = 0;
      // A change that failed is in doubt; it must be read before there can be another.
      while (!stop.signal.aborted && this.answered < enough && failures < FAILURES) {
        if ((await writer.step(started.wire)) === undefined) continue;
        failures += 1;
        await writer.check(started.wire).catch(() => {
          failures = FAILURES;
        });
      }
    });
    const end = setTimeout(() => stop.abort(), 10 * LOAD_MS);
    await Promise.all([...work, beside?.(started.wire).catch(() => {})]);
    clearTimeout(end);
    const { exited, child } = started.server;
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    if (mustEnd?.()) await waitFor("the server to end", ended).catch(() => {});
    const byItself = ended();
    const asked = !byItself && inOrder === true;
    if (asked) {
      onPhase?.("stop");
      child.kill("SIGTERM");
      await waitFor("the server to stop", ended, STOP_MS);
    }
    await this.#kill(0);
    const exit = await exited;
    return byItself || exit.code !== null ? { started: true, asked, ...exit } : undefined;
  }

  /**
   * What is wrong with the files that a kill left: by SQLite's own program, and by the audit log, which must hold all
   * that was answered or sent and be as it was written (S4). Needs all to be down, and a store.
   */
  async atRest(): Promise<readonly string[]> {
    const problems: string[] = [];
    this.#checkIntegrity();
    const audit = await readStoredAudit(this.dataDir, new Keyring(readMasterKeyFile(this.#masterKeyFile)));
    const told = [
      ...this.writers.flatMap(({ revisions }) => revisions.map(changeRecord)),
      ...this.watchers.flatMap(({ ledger, told }) =>
        told.map((revision) => deliveryRecord(ledger.name, revision)),
      ),
    ];
    const lost = told.filter((record) => !audit?.records.has(record));
    problems.push(...lost.map((record) => `the audit log has no record of: ${record} (S4)`));
    return [...problems, ...(audit?.accusations ?? [])];
  }

  async killAll(): Promise<void> {
    for (let index = 0; index < this.#members.length; index += 1) await this.#kill(index);
  }

  async dispose(): Promise<void> {
    await this.killAll();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  get #args(): readonly string[] {
    return ["--audit-reserve-bytes", "1048576", "--log-level", "error", ...this.#serverArgs];
  }

  async #start(under: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Member> {
    const server = await ServerProcess.start({
      dataDir: this.dataDir,
      args: this.#args,
      env: { ...ENVIRONMENT, ...this.env, ...env },
      under,
    });
    const wire = new Wire(server.address, server.adminToken);
    return { server, wire, follows: [] };
  }

  async #kill(index: number): Promise<void> {
    const member = this.#members[index];
    if (member === undefined) return;
    this.#members[index] = undefined;
    await member.server.kill();
    this.kills += 1;
    await Promise.all(member.follows);
    member.wire.close();
  }

  /** SQLite's own program looks at what was left. */
  #checkIntegrity(): void {
    if (!existsSync(join(this.dataDir, "store.db"))) return;
    const found = integrityOf(this.dataDir);
    if (found !== "ok") throw new Error(`sqlite3 says of ${this.dataDir}: ${found}`);
  }

  /** Everything at rest: what every server tells is what was answered, and every watcher comes to hold it. */
  async #check(): Promise<void> {
    const members = this.#members.filter((member) => member !== undefined);
    const problems: string[] = [];
    // The first settles what was in doubt; the others must say the same.
    for (const { wire } of members) {
      const found = await Promise.all(this.writers.map((writer) => writer.check(wire)));
      problems.push(...found.filter((problem) => problem !== undefined));
      const info = await wire.call(SecretService.method.getServerInfo, {});
      if (this.#epoch !== "" && info.epoch !== this.#epoch)
        problems.push(`the epoch changed to ${info.epoch}`);
      this.#epoch = info.epoch;
      for (const { revision } of [...this.writers, ...this.watchers]) {
        if (revision > info.revision) {
          problems.push(`revision ${revision} was told, and the store stands at ${info.revision} (D1, W1)`);
        }
      }
    }
    this.#follow(members);
    if (problems.length === 0) {
      for (const watcher of this.watchers) {
        await waitFor("a watcher to hold the last state (W6)", () => watcher.agrees(), PATIENCE_MS).catch(
          (error: Error) => problems.push(`${error.message}; it holds ${watcher.held}`),
        );
      }
    }
    problems.push(...this.watchers.flatMap((watcher) => watcher.problems));
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  /** Watchers whose stream ended go to the next server, each with its token. */
  #follow(members: readonly Member[]): void {
    for (const [index, watcher] of this.watchers.entries()) {
      if (watcher.following) continue;
      const member = members[(index + this.kills) % members.length] as Member;
      member.follows.push(watcher.follow(member.wire));
    }
  }
}
