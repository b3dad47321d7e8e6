import { existsSync, readFileSync } from "node:fs";

/** The traced program stays the parent's child, so that signals reach it and its exit status is its own. */
const AS_GRANDCHILD = ["strace", "-D", "-f", "-qq", "--seccomp-bpf"];

export interface Injection {
  readonly call: string;
  /** The how manieth call of a thread. */
  readonly nth: number;
  /** An error's name, or a signal. */
  readonly fault: { readonly error: string } | { readonly signal: string };
}

/** Runs a command under strace, which lets one of its system calls fail. */
export function injecting({ call, nth, fault }: Injection, log: string): readonly string[] {
  const what = "error" in fault ? `error=${fault.error}` : `signal=${fault.signal}`;
  return [
    ...AS_GRANDCHILD,
    "-y",
    "-o",
    log,
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:${what}:when=${nth}`,
  ];
}

/** Runs a command under strace, which writes down every call that can change a file, with all its bytes. */
export function recording(log: string): readonly string[] {
  return [
    ...AS_GRANDCHILD,
    "-y",
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

/** The calls that were made to fail, as strace wrote them down. */
export function injected(log: string): readonly string[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line.includes("(INJECTED)"));
}
