import { createReadStream } from "node:fs";
import { dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { DiskCall } from "./disk.ts";

export interface RecordedCall {
  /** Unix milliseconds; when it ended, for one that others came in between, so that no later call has an earlier time. */
  readonly time: number;
  readonly call: DiskCall;
}

const LINE = /^(\d+) +(\d+\.\d+) (?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))$/;
/** A string, and the folder that it is named from, where the call says one; and whether it was cut. */
const STRING = /(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>, )?"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g;
const COPY_RANGE = /^\d+<([^>]*)>, \[(\d+)\], \d+<([^>]*)>, NULL, .* = (\d+)$/;
const SENDFILE = /^\d+<([^>]*)>, \d+<([^>]*)>, \[(\d+)(?: => \[?\d+\]?)?\], .* = (\d+)$/;
const FAILED = /= -1 E[A-Z]+|= \?/;

/**
 * Reads what strace wrote of a program: its calls that changed files below a folder, in an order that the disk can
 * have seen. A sync counts from where it ended, for what had been written when it began: what came in between stays
 * at risk. Calls that failed changed nothing; a call that it does not know is an error, not a gap.
 */
export async function readRecording(log: string, folder: string): Promise<readonly RecordedCall[]> {
  const calls: RecordedCall[] = [];
  const ours = (path: string) => path === folder || path.startsWith(`${folder}/`);
  const unfinished = new Map<string, { name: string; text: string }>();
  for await (const line of createInterface({ input: createReadStream(log, "latin1") })) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, thread = "", stamp = "", name = "", rest = "", resumedName = "", resumedRest = ""] = match;
    const time = Number(stamp) * 1000;
    if (resumedName !== "") {
      const begun = unfinished.get(thread);
      unfinished.delete(thread);
      if (begun === undefined) continue;
      const made = parse(begun.name, begun.text + resumedRest, thread, ours);
      calls.push(...made.map((call) => ({ time, call })));
    } else if (rest.endsWith("<unfinished ...>")) {
      const text = rest.slice(0, -"<unfinished ...>".length).trimEnd();
      unfinished.set(thread, { name, text });
      const path = fileOf(text);
      if (/^f(data)?sync$/.test(name) && ours(path))
        calls.push({ time, call: { kind: "sync-begins", path, thread } });
    } else {
      calls.push(...parse(name, rest, thread, ours).map((call) => ({ time, call })));
    }
  }
  return calls;
}

function parse(
  name: string,
  text: string,
  thread: string,
  ours: (path: string) => boolean,
): readonly DiskCall[] {
  if (FAILED.test(text)) return [];
  const strings = [...text.matchAll(STRING)].map(([, folder = "", hex = "", cut]) => {
    if (cut !== undefined) throw new Error(`${name} was not recorded whole`);
    return { folder: decoded(folder).toString(), bytes: decoded(hex) };
  });
  const written = strings[0]?.bytes ?? Buffer.alloc(0);
  const paths = strings.map(({ folder, bytes }) => resolve(folder, bytes.toString()));
  const file = fileOf(text);
  const path = paths[0] ?? "";
  const to = paths[1] ?? "";
  switch (name) {
    case "openat":
    case "open":
    case "creat":
      if (!ours(path)) return [];
      return [
        ...(name === "creat" || text.includes("O_CREAT") ? [{ kind: "create", path } as const] : []),
        ...(name === "creat" || text.includes("O_TRUNC")
          ? [{ kind: "truncate", path, size: 0 } as const]
          : []),
      ];
    case "pwrite64": {
      if (!ours(file)) return [];
      const [, at = "", done = ""] = /, (\d+)\) += (\d+)$/.exec(text) ?? [];
      return [{ kind: "write", path: file, at: Number(at), bytes: written.subarray(0, Number(done)) }];
    }
    case "write": {
      if (!ours(file)) return [];
      const done = Number(/= (\d+)$/.exec(text)?.[1]);
      return [{ kind: "append", path: file, bytes: written.subarray(0, done) }];
    }
    case "copy_file_range": {
      const [, from = "", at = "", into = "", size = ""] = COPY_RANGE.exec(text) ?? [];
      return copied(text, from, at, into, size, ours);
    }
    case "sendfile": {
      const [, into = "", from = "", at = "", size = ""] = SENDFILE.exec(text) ?? [];
      return copied(text, from, at, into, size, ours);
    }
    case "fsync":
    case "fdatasync":
      return ours(file) ? [{ kind: "sync", path: file, thread }] : [];
    case "ftruncate":
      return ours(file)
        ? [{ kind: "truncate", path: file, size: Number(/, (\d+)\) += 0$/.exec(text)?.[1]) }]
        : [];
    case "rename":
    case "renameat":
    case "renameat2":
      return ours(path) ? [{ kind: "rename", path, to }] : [];
    case "link":
    case "linkat":
      return ours(path) ? [{ kind: "link", path, to }] : [];
    case "unlink":
    case "unlinkat":
    case "rmdir":
      return ours(path) ? [{ kind: "unlink", path }] : [];
    case "mkdir":
    case "mkdirat":
      return ours(path) ? [{ kind: "mkdir", path }] : [];
    default: {
      if ([path, to, file, dirname(file)].some(ours))
        throw new Error(`a call that is not known: ${name}(${text}`);
      return [];
    }
  }
}

function copied(
  text: string,
  from: string,
  at: string,
  into: string,
  size: string,
  ours: (path: string) => boolean,
): readonly DiskCall[] {
  const path = decoded(from).toString();
  const to = decoded(into).toString();
  if (to === "") throw new Error(`a copy that is not known: ${text}`);
  if (!ours(to)) return [];
  if (!ours(path)) throw new Error(`a copy of what was not recorded: ${text}`);
  return [{ kind: "copy", path, at: Number(at), size: Number(size), to }];
}

/** The file that a call's first argument, a descriptor, stands for. */
function fileOf(text: string): string {
  return decoded(/^\d+<((?:\\x[0-9a-f]{2})*)>/.exec(text)?.[1] ?? "").toString();
}

function decoded(hex: string): Buffer {
  return Buffer.from(hex.replaceAll("\\x", ""), "hex");
}
