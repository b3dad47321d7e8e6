import * as nodeFs from "node:fs";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditAnchor } from "../../src/audit/audit-log.ts";
import { chainKey } from "../../src/audit/chain.ts";
import { FileAuditLog, type FileAuditLogOptions } from "../../src/audit/file-audit-log.ts";
import type { AuditFileSystem } from "../../src/audit/segment-file.ts";
import { type VerifyReport, verifyAudit } from "../../src/audit/verify.ts";

export const STORE_KEY = new Uint8Array(32).fill(9);

/** A log's folder, with the newest anchor of each chain as a store would keep it. */
export class LogFolder {
  readonly path: string;
  readonly anchors = new Map<string, AuditAnchor>();

  constructor(path: string = mkdtempSync(join(tmpdir(), "slots-audit-"))) {
    this.path = path;
  }

  async open(options: Partial<FileAuditLogOptions> = {}): Promise<FileAuditLog> {
    return await FileAuditLog.open({
      directory: this.path,
      storeKey: STORE_KEY,
      reserveBytes: 0,
      anchor: async (anchor) => {
        this.anchors.set(anchor.chain, anchor);
      },
      ...options,
    });
  }

  /** A copy to tamper with. */
  copy(): LogFolder {
    const copy = new LogFolder();
    cpSync(this.path, copy.path, { recursive: true });
    for (const [chain, anchor] of this.anchors) copy.anchors.set(chain, anchor);
    return copy;
  }

  async verify(): Promise<VerifyReport> {
    return await verifyAudit({
      directory: this.path,
      keyOfChain: (chain) => chainKey(STORE_KEY, chain),
      anchors: [...this.anchors.values()],
    });
  }

  get segments(): readonly string[] {
    return readdirSync(this.path)
      .filter((file) => file.endsWith(".jsonl"))
      .sort();
  }

  lines(file: string): string[] {
    return readFileSync(join(this.path, file), "utf8").trimEnd().split("\n");
  }

  write(file: string, lines: readonly string[]): void {
    writeFileSync(join(this.path, file), `${lines.join("\n")}\n`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The real file system, whose writes fail at will. */
export class FailingFiles implements AuditFileSystem {
  readonly closeSync = nodeFs.closeSync;
  readonly renameSync = nodeFs.renameSync;
  readonly unlinkSync = nodeFs.unlinkSync;
  /** The error that writes end with. */
  writeError: string | undefined;
  /** Bytes that a failing write still writes first. */
  partial = 0;
  truncateError: string | undefined;
  syncError: string | undefined;
  /** The error that flushes of the folder end with. */
  folderSyncError: string | undefined;
  /** Calls of writeSync. */
  writes = 0;
  /** No room: a file that is there can be written over, but none grows and none is made. */
  full = false;

  readonly writeSync = ((fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
    this.writes += 1;
    if (this.full) return writeInPlace(fd, bytes, offset, length, position);
    if (this.writeError === undefined) return nodeFs.writeSync(fd, bytes, offset, length, position);
    if (this.partial > 0) nodeFs.writeSync(fd, bytes, offset, Math.min(this.partial, length), position);
    throw failure(this.writeError);
  }) as typeof nodeFs.writeSync;

  readonly openSync: typeof nodeFs.openSync = (path, flags, mode) => {
    if (this.full && flags === "wx") throw failure("ENOSPC");
    return nodeFs.openSync(path, flags, mode);
  };

  readonly ftruncateSync: typeof nodeFs.ftruncateSync = (fd, length) => {
    if (this.truncateError !== undefined) throw failure(this.truncateError);
    nodeFs.ftruncateSync(fd, length);
  };

  readonly fsyncSync: typeof nodeFs.fsyncSync = (fd) => {
    if (this.folderSyncError !== undefined) throw failure(this.folderSyncError);
    nodeFs.fsyncSync(fd);
  };

  readonly fdatasyncSync = ((fd: number) => {
    if (this.syncError !== undefined) throw failure(this.syncError);
    nodeFs.fdatasyncSync(fd);
  }) as typeof nodeFs.fdatasyncSync;

  readonly fdatasync = ((fd: number, done: nodeFs.NoParamCallback) => {
    if (this.syncError === undefined) nodeFs.fdatasync(fd, done);
    else setImmediate(() => done(failure(this.syncError!)));
  }) as typeof nodeFs.fdatasync;
}

/** As the system does it: what has room is written, and only the next call says that there is no more. */
function writeInPlace(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  const room = nodeFs.fstatSync(fd).size - position;
  if (room <= 0) throw failure("ENOSPC");
  return nodeFs.writeSync(fd, bytes, offset, Math.min(length, room), position);
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Waits for a condition, for at most 20 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); ) {
    if (Date.now() > end) throw new Error("what was waited for did not come");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
