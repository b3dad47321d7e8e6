import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { publish } from "../disk/durable.ts";
import { SlotsError } from "../domain/errors.ts";
import { MasterKey } from "./master-key.ts";
import { formatMasterKey, parseMasterKeys } from "./master-key-text.ts";

const MAX_FILE_BYTES = 65_536;
const OTHERS = 0o077;

export interface KeyFileOptions {
  /**
   * Whether the file must be its owner's alone (the default). Credentials of systemd lie in a directory that
   * is, and may carry the group's bits as the mask of an access list.
   */
  readonly ownerOnly?: boolean;
}

/** The keys in a file. Errors say which file and what to do. */
export function readMasterKeyFile(path: string, options: KeyFileOptions = {}): readonly MasterKey[] {
  let file: number;
  try {
    // O_NONBLOCK: a named pipe in the file's place must not hang the start.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new SlotsError("KEY_NOT_LOADED", `master key file ${path}: not a regular file`);
    if ((options.ownerOnly ?? true) && (stat.mode & OTHERS) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      throw new SlotsError(
        "KEY_NOT_LOADED",
        `master key file ${path}: others may use it (mode ${mode}); run: chmod 600 ${quoted(path)}`,
      );
    }
    if (stat.size > MAX_FILE_BYTES) {
      throw new SlotsError("KEY_NOT_LOADED", `master key file ${path}: larger than ${MAX_FILE_BYTES} bytes`);
    }
    const bytes = readFileSync(file);
    const text = bytes.toString("latin1");
    bytes.fill(0);
    return parseMasterKeys(text, `master key file ${path}`);
  } catch (cause) {
    throw cause instanceof SlotsError ? cause : unreadable(path, cause);
  } finally {
    closeSync(file);
  }
}

/**
 * Makes a new key and its file, which only its owner may read (0600). File and directory are on disk when
 * this returns: nothing may be sealed by a key that a power cut can take. Never touches a file that exists, and
 * gives the file its name only once it is whole, so that a start that is cut leaves nothing in the next one's way.
 */
export function createMasterKeyFile(path: string): MasterKey {
  const key = MasterKey.generate();
  const draft = `${path}.new-${randomBytes(6).toString("hex")}`;
  try {
    const file = openSync(draft, "wx", 0o600);
    try {
      writeSync(file, `# Master key ${key.id}. Whoever has it can read the store; without it nobody can.\n`);
      writeSync(file, `${formatMasterKey(key)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    publish(draft, path);
    return key;
  } catch (cause) {
    throw new SlotsError("KEY_NOT_LOADED", `master key file ${path} can't be made: ${reason(cause)}`, {
      cause,
    });
  } finally {
    rmSync(draft, { force: true });
  }
}

function unreadable(path: string, cause: unknown): SlotsError {
  return new SlotsError("KEY_NOT_LOADED", `master key file ${path} can't be read: ${reason(cause)}`, {
    cause,
  });
}

function reason(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "there is no such file";
    case "EEXIST":
      return "it exists already";
    case "EACCES":
    case "EPERM":
      return "this user may not; give it to the user that runs the server";
    default:
      return (cause as NodeJS.ErrnoException).code ?? "unknown error";
  }
}

/** For a line that is copied into a shell. */
function quoted(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
