import { randomBytes } from "node:crypto";
import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Revision } from "../domain/numbers.ts";
import type { Call } from "./call.ts";
import type { Core } from "./core.ts";
import { recorded } from "./recorded.ts";

export interface BackupPiece {
  readonly chunk: Uint8Array<ArrayBuffer>;
  /** On the first piece alone. */
  readonly totalBytes?: bigint;
  readonly revision?: Revision;
  readonly epoch?: string;
}

const PIECE_BYTES = 256 * 1024;
const SCRATCH_NAME = /^backup-[0-9a-f]{16}\.tmp$/;
/** A copy that is being written changes all the time; one that is being sent is open, and outlives its name. */
const LEFT_BEHIND_MS = 3_600_000;

/** A consistent copy of the store, sealed as it is, while reads and writes go on (D6). Needs `admin`. */
export async function* backup(core: Core, call: Call): AsyncGenerator<BackupPiece, void, void> {
  await recorded(core, call, {}, async () => {
    core.authorizer.require(core.opened.sync(), call);
    await core.audit.listed(call);
  });
  await removeLeftovers(core.scratchDirectory);
  const file = join(core.scratchDirectory, `backup-${randomBytes(8).toString("hex")}.tmp`);
  try {
    const { revision, epoch } = await core.storage.backupTo(file);
    const { size } = await stat(file);
    const handle = await open(file, "r");
    try {
      // Its name goes first: a kill must not leave a copy in which what is destroyed later is still to be found.
      await rm(file, { force: true });
      let first = true;
      for (let at = 0; first || at < size; ) {
        call.signal.throwIfAborted();
        const chunk = new Uint8Array(Math.min(PIECE_BYTES, size - at));
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
        at += bytesRead;
        yield first ? { chunk, totalBytes: BigInt(size), revision, epoch } : { chunk };
        first = false;
      }
    } finally {
      await handle.close();
    }
  } finally {
    await rm(file, { force: true });
  }
}

/** Whoever was killed while it took a backup left a copy behind, as large as the store. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!SCRATCH_NAME.test(name)) continue;
    const file = join(directory, name);
    const written = await stat(file).catch(() => undefined);
    if (written === undefined || Date.now() - written.mtimeMs < LEFT_BEHIND_MS) continue;
    for (const end of ["", "-journal"]) await rm(file + end, { force: true });
  }
}
