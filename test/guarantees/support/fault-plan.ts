import { dirname, join, relative } from "node:path";
import type { Lane, LaneExit } from "./lane.ts";
import { type Injection, injected, injecting, type TracedCall, timing, traced } from "./strace.ts";

/** Errors that each call may be answered with, where it has to do with files of the store or of the audit log. */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  fsync: ["EIO"],
  fdatasync: ["EIO"],
  pwrite64: ["EIO", "ENOSPC"],
  ftruncate: ["EIO", "ENOSPC"],
  fallocate: ["EIO", "ENOSPC"],
  openat: ["EIO", "ENOSPC"],
  mkdir: ["EIO", "ENOSPC"],
  link: ["EIO", "ENOSPC"],
  rename: ["EIO", "ENOSPC"],
  unlink: ["EIO"],
};
const CALLS = Object.keys(ERRORS);
/** Answered in each life: enough for some commits, checkpoints and a few files of the audit log. */
const WRITES = 16;
/** Names that are another one each time: drafts, files of the audit log. */
const ONCE = /[0-9a-f]{12}/;

export type Phase = "start" | "load" | "stop";
export const PHASES: readonly Phase[] = ["start", "load", "stop"];

/** One call that is to fail. */
export interface PlannedFault {
  /** A store's first life, which makes it, or a later one. */
  readonly life: "first" | "later";
  readonly phase: Phase;
  readonly call: string;
  /** From the data directory; undefined for one that has another name each time. */
  readonly file: string | undefined;
  /** The how manieth call of a thread: on that file, or on any. */
  readonly nth: number;
  readonly error: string;
}

/** Watches a life from its start to its end in order, and says which of its calls can be made to fail. */
export async function planFaults(
  lane: Lane,
  life: PlannedFault["life"],
  log: string,
): Promise<readonly PlannedFault[]> {
  const since: { phase: Phase; time: number }[] = [{ phase: "start", time: 0 }];
  const exit = await lane.underFault({
    ...{ under: timing(CALLS, log), writes: WRITES, inOrder: true },
    onPhase: (phase) => since.push({ phase, time: Date.now() }),
  });
  if (exit?.code !== 0) throw new Error(`a life without a fault ended with ${exit?.code ?? exit?.signal}`);
  const counts = new Map<string, number>();
  const count = (...key: readonly unknown[]): number => {
    const next = (counts.get(key.join(" ")) ?? 0) + 1;
    counts.set(key.join(" "), next);
    return next;
  };
  const found = new Map<string, PlannedFault>();
  const unheeded = unheededBySqlite();
  for (const each of traced(log)) {
    const { thread, time, call, paths } = each;
    const inAll = count(thread, call);
    const files = paths.filter((path) => concerns(lane, path)).map((path) => relative(lane.dataDir, path));
    // Of a rename strace can only be asked by the name that goes.
    const file = (call === "rename" ? files.slice(0, 1) : files).find((each) => !ONCE.test(each));
    const inFile = file === undefined ? inAll : count(thread, call, file);
    if (unheeded(each) || files.length === 0) continue;
    const { phase } = since.findLast((each) => each.time <= time)!;
    for (const error of ERRORS[call]!) {
      const key = `${call} ${file} ${inFile} ${error}`;
      if (!found.has(key)) found.set(key, { life, phase, call, file, nth: inFile, error });
    }
  }
  return [...found.values()];
}

/**
 * Of a new journal or WAL SQLite flushes the folder as well and does not look at what comes of it. The server has the
 * name of a WAL flushed by itself; the others are of drafts. Told by the file that was flushed before and is still open.
 */
function unheededBySqlite(): (traced: TracedCall) => boolean {
  const last = new Map<string, { fd: string; path: string }>();
  return ({ thread, call, text }) => {
    const [, fd = "", path = ""] = /^fsync\((\d+)<([^>]*)>/.exec(text) ?? [];
    if (call !== "fsync") return false;
    const before = last.get(thread);
    last.set(thread, { fd, path });
    return (
      before !== undefined &&
      /-(?:journal|wal)$/.test(before.path) &&
      dirname(before.path) === path &&
      before.fd !== fd
    );
  };
}

/** How a life with a fault went. */
export interface FaultyLife {
  readonly exit: LaneExit | undefined;
  /** The calls that failed, as strace wrote them down. Empty: it never came to them. */
  readonly hits: readonly string[];
}

export async function liveWith(fault: PlannedFault, lane: Lane, log: string): Promise<FaultyLife> {
  const { call, file, nth, error } = fault;
  const injection: Injection = {
    ...{ call, nth, fault: { error } },
    ...(file === undefined ? {} : { path: join(lane.dataDir, file) }),
  };
  const hits = () =>
    injected(log)
      .filter(({ paths }) => paths.some((path) => concerns(lane, path)))
      .map(({ text }) => text);
  const exit = await lane.underFault({
    ...{ under: injecting(injection, log), writes: WRITES, inOrder: true },
    mustEnd: () => failedFlushes(hits()).length > 0,
  });
  return { exit, hits: hits() };
}

/** Zeros that are kept for a full disk hold nothing yet; every other flush was of something. */
function failedFlushes(hits: readonly string[]): readonly string[] {
  return hits.filter((line) => /\bf(data)?sync\(/.test(line) && !/reserve-\d\d/.test(line));
}

/** The store's files and the audit log's, and the folder that the data directory is in. */
function concerns({ dataDir }: Lane, path: string): boolean {
  return path === dataDir || path.startsWith(`${dataDir}/`) || path === dirname(dataDir);
}

/**
 * How it ended, in a word. Throws when it ended otherwise than it may: a flush that failed must have ended the server
 * with 70 (D5), or its start; anything else is told and lived with, or ends it the same.
 */
export function judged({ exit, hits }: FaultyLife): string {
  const told = hits.join("\n");
  if (exit === undefined) throw new Error(`it neither went on nor ended:\n${told}`);
  const { started, asked, code, signal } = exit;
  if (signal !== null) throw new Error(`it ended with ${signal}:\n${told}`);
  const flushes = failedFlushes(hits);
  if (!started) {
    if (code !== 1 && code !== 70) throw new Error(`a start ended with ${code}:\n${told}`);
    return "did not start";
  }
  if (code === 70) return "ended";
  if (flushes.length > 0)
    throw new Error(`a flush failed, and it ended with ${code}:\n${flushes.join("\n")}`);
  if (!asked) throw new Error(`it ended with ${code}:\n${told}`);
  if (code !== 0 && code !== 1) throw new Error(`its stop ended with ${code}:\n${told}`);
  return code === 0 ? "went on" : "did not stop in order";
}
