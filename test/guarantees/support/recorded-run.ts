import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keyring } from "../../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../../src/crypto/master-key-file.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { Wire, WireError } from "../../support/wire.ts";
import type { Contents } from "./ledger.ts";
import type { Random } from "./random.ts";
import { type RecordedCall, readRecording } from "./recording.ts";
import { changeRecord, deliveryRecord, readRecord } from "./stored-audit.ts";
import { recording } from "./strace.ts";
import { Writer } from "./writer.ts";

/** What a secret held, and when it was asked for and answered, Unix milliseconds. */
interface Moment {
  readonly contents: Contents;
  readonly asked: number;
  readonly answered: number;
}

/** Something that left the server, as its record in the audit log names it, and when it was there, Unix milliseconds. */
export interface Told {
  readonly record: string;
  readonly answered: number;
}

export interface RecordedRun {
  /** Where everything lay that was recorded. */
  readonly root: string;
  readonly calls: readonly RecordedCall[];
  readonly keyring: Keyring;
  /** Of each secret, from the beginning on. */
  readonly histories: ReadonlyMap<string, readonly Moment[]>;
  /** Every change and disclosure that was answered or sent. */
  readonly told: readonly Told[];
}

export interface RecordedRunOptions {
  readonly random: Random;
  readonly writes: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly serverArgs?: readonly string[];
  /** Whether each write is followed by a read, and each secret is watched. */
  readonly discloses?: boolean;
}

const WRITERS = 6;
/** Longer than the server waits before it writes the WAL into the database. */
const PAUSE_MS = 1500;

/** Records a server from its first start to its end in order, with writers that know what they were answered. */
export async function recordRun({
  random,
  writes,
  env = {},
  serverArgs = [],
  discloses = false,
}: RecordedRunOptions): Promise<RecordedRun> {
  const work = mkdtempSync(join(tmpdir(), "slots-recorded-"));
  const root = join(work, "disk");
  mkdirSync(root);
  const dataDir = join(root, "data");
  const log = join(work, "calls.txt");
  const server = await ServerProcess.start({
    dataDir,
    under: recording(log),
    args: ["--audit-reserve-bytes", "0", "--log-level", "error", ...serverArgs],
    env,
  });
  try {
    const keyring = new Keyring(readMasterKeyFile(join(dataDir, "master.key")));
    const wire = new Wire(server.address, server.adminToken);
    const writers = Array.from(
      { length: WRITERS },
      (_, index) => new Writer(`w/${index}`, random.fork(), { maxBytes: 12_000 }),
    );
    const histories = new Map(
      writers.map(({ name }): [string, Moment[]] => [name, [{ contents: new Map(), asked: 0, answered: 0 }]]),
    );
    const told: Told[] = [];
    // Rounded up: an answer must not count before it was there.
    const tell = (record: string) => void told.push({ record, answered: Date.now() + 1 });
    const watches = discloses ? writers.map(({ name }) => listen(wire, name, tell)) : [];
    const write = async (writer: Writer, count: number) => {
      for (let step = 0; step < count; step += 1) {
        const asked = Date.now();
        const error = await writer.step(wire);
        if (error !== undefined) throw error;
        histories.get(writer.name)?.push({ contents: writer.ledger.known, asked, answered: Date.now() + 1 });
        tell(changeRecord(writer.revision));
        if (discloses) await read(wire, writer.name, tell);
      }
    };
    const each = Math.ceil(writes / WRITERS / 2);
    await Promise.all(writers.map((writer) => write(writer, each)));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await Promise.all(writers.map((writer) => write(writer, each)));
    for (const watch of watches) watch.cancel();
    wire.close();
    const { code } = await server.stop();
    if (code !== 0) throw new Error(`the recorded server ended with ${code}: ${server.output}`);
    return { root, calls: await readRecording(log, root), keyring, histories, told };
  } finally {
    await server.kill();
    rmSync(work, { recursive: true, force: true });
  }
}

async function read(wire: Wire, name: string, tell: (record: string) => void): Promise<void> {
  try {
    const { slot = 0n } = await wire.get(name);
    tell(readRecord(name, slot));
  } catch (error) {
    if (!(error instanceof WireError) || error.code !== "NOT_FOUND") throw error;
  }
}

function listen(wire: Wire, name: string, tell: (record: string) => void): { cancel(): void } {
  const stream = wire.watch(name, { allowMissing: true });
  void (async () => {
    for await (const { event, revision } of stream) {
      if (event.case === "current" || event.case === "absent") tell(deliveryRecord(name, revision));
    }
  })().catch(() => {});
  return stream;
}

/** What a secret may hold when the power is cut at that time: all that was answered, and perhaps what was asked. */
export function possibleAt(history: readonly Moment[], time: number): readonly Contents[] {
  const answered = history.findLastIndex((moment) => moment.answered <= time);
  return history
    .filter(({ asked }, index) => index >= answered && asked <= time)
    .map(({ contents }) => contents);
}
