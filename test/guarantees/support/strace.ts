import { existsSync, readFileSync } from "node:fs";

/** The traced program stays the parent's child, so that signals reach it and its exit status is its own. */
const TOLD = ["strace", "-D", "-f", "-y"];
const AS_GRANDCHILD = [...TOLD, "-qq"];
/** Stops only at the calls that are asked for, which is much faster; strace can't inject a signal there. */
const FAST = "--seccomp-bpf";

export interface Injection {
  readonly call: string;
  /** Only calls on this file or folder count, which is how it is named when it is called. */
  readonly path?: string;
  /** The how manieth call of a thread. */
  readonly nth: number;
  /** An error's name, or a signal. */
  readonly fault: { readonly error: string } | { readonly signal: string };
}

/** Runs a command under strace, which lets one of its system calls fail, or kills the command as it makes it. */
export function injecting({ call, path, nth, fault }: Injection, log: string): readonly string[] {
  const [what, how] = "error" in fault ? [`error=${fault.error}`, [FAST]] : [`signal=${fault.signal}`, []];
  const where = path === undefined ? [] : ["-P", path];
  const filter = ["-e", `trace=${call}`, "-e", `inject=${call}:${what}:when=${nth}`];
  return [...AS_GRANDCHILD, ...how, ...where, "-o", log, ...filter];
}

/** Runs a command under strace, which writes down calls of these names. */
export function counting(calls: readonly string[], log: string): readonly string[] {
  return [...AS_GRANDCHILD, FAST, "-o", log, "-e", `trace=${calls.join(",")}`];
}

/** A call on one file or folder, named from the folder that was asked about. */
export interface CountedCall {
  readonly call: string;
  readonly file: string;
  /** The most that one thread made. */
  readonly most: number;
}

/** What `counting` wrote down of calls on files that have the same name in each run. */
export function countedCalls(log: string, folder: string): CountedCall[] {
  const byThread = new Map<string, number>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [, thread, call, rest = ""] = /^(\d+) +(\w+)\((.*)/.exec(line) ?? [];
    for (const [, path = ""] of rest.matchAll(/[<"](\/[^>"]*)[>"]/g)) {
      if (path !== folder && !path.startsWith(`${folder}/`)) continue;
      const file = path.slice(folder.length + 1);
      if (!/[0-9a-f]{12}|reserve-/.test(file)) {
        const key = JSON.stringify([call, file, thread]);
        byThread.set(key, (byThread.get(key) ?? 0) + 1);
      }
    }
  }
  const most = new Map<string, CountedCall>();
  for (const [key, count] of byThread) {
    const [call, file] = JSON.parse(key) as [string, string];
    const known = most.get(`${call} ${file}`)?.most ?? 0;
    if (count > known) most.set(`${call} ${file}`, { call, file, most: count });
  }
  return [...most.values()];
}

/** Whether strace saw the command be killed. */
export function sawKill(log: string): boolean {
  return existsSync(log) && readFileSync(log, "utf8").includes("+++ killed by SIGKILL");
}

/** Runs a command under strace, which writes down every call that can change a file, with all its bytes. */
export function recording(log: string): readonly string[] {
  return [
    ...TOLD,
    // Exits as well: `isWhole` knows the end by them.
    "-q",
    FAST,
    "-ttt",
    "-xx",
    "-s",
    "4000000",
    "-o",
    log,
    "-e",
    `trace=${RECORDED.join(",")}`,
  ];
}

/** Whether strace has written down all of it: that the program's first thread ended comes last. */
export function isWhole(log: string): boolean {
  const text = readFileSync(log, "latin1");
  const [, program] = /^(\d+) /.exec(text) ?? [];
  return new RegExp(`^${program} .*\\+\\+\\+ (?:exited|killed)`, "m").test(text.slice(-10_000));
}

const RECORDED = [
  "openat",
  "creat",
  "open",
  "write",
  "writev",
  "pwrite64",
  "pwritev",
  "pwritev2",
  "fsync",
  "fdatasync",
  "sync_file_range",
  "syncfs",
  "sync",
  "ftruncate",
  "truncate",
  "fallocate",
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
  "symlink",
  "symlinkat",
  "unlink",
  "unlinkat",
  "mkdir",
  "mkdirat",
  "rmdir",
  "copy_file_range",
  "sendfile",
];

/** Runs a command under strace, which writes down calls of these names with their times. */
export function timing(calls: readonly string[], log: string): readonly string[] {
  return [...AS_GRANDCHILD, FAST, "-ttt", "-o", log, "-e", `trace=${calls.join(",")}`];
}

/** A call as strace wrote it down, whole. */
export interface TracedCall {
  readonly thread: string;
  /** When it began, Unix milliseconds; 0 where times were not written. */
  readonly time: number;
  readonly call: string;
  /** Absolute ones, of files and folders that it named or had open. */
  readonly paths: readonly string[];
  readonly text: string;
}

const CALL = /^(\d+) +(?:(\d+\.\d+) )?(?:(\w+)\(|<\.\.\. \w+ resumed>)(.*)$/;
const UNFINISHED = / *<unfinished \.\.\.>$/;

/** All calls in the order in which they began; what strace wrote in two parts is put together. */
export function traced(log: string): readonly TracedCall[] {
  if (!existsSync(log)) return [];
  const calls: { thread: string; time: number; call: string; text: string }[] = [];
  const open = new Map<string, (typeof calls)[number]>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [, thread = "", time = "0", call, rest = ""] = CALL.exec(line) ?? [];
    if (thread === "") continue;
    const part = rest.replace(UNFINISHED, "");
    const begun = open.get(thread);
    if (call !== undefined) {
      const begins = { thread, time: Number(time) * 1000, call, text: `${call}(${part}` };
      calls.push(begins);
      if (part !== rest) open.set(thread, begins);
    } else if (begun !== undefined) {
      begun.text += part;
      open.delete(thread);
    }
  }
  return calls.map((each) => ({ ...each, paths: pathsIn(each.text) }));
}

function pathsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/[<"](\/[^>"]*)[>"]/g)].map(([, path = ""]) => path))];
}

/** The calls that were made to fail. */
export function injected(log: string): readonly TracedCall[] {
  return traced(log).filter(({ text }) => text.includes("(INJECTED)"));
}
