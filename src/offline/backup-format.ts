import { createHash, type Hash } from "node:crypto";
import { SlotsError } from "../domain/errors.ts";

/*
 * A backup is one file:
 *
 *   SECRET-SLOTS-BACKUP-1\n
 *   {"revision":"42","epoch":"…","databaseBytes":"40960","createTime":"…","version":"0.1.0"}\n
 *   the database, `databaseBytes` bytes, its values sealed as in the store
 *   SHA-256 of all that, 64 hex digits\n
 *
 * so that `head -2` tells what it is and `head -c -65 FILE | sha256sum` checks it. The checksum finds damage and a cut;
 * against forgery stands the seal of each value, and age's encryption around the file.
 */
const FIRST_LINE = "SECRET-SLOTS-BACKUP-1\n";
const CHECKSUM_BYTES = 65;
const MAX_HEADER_BYTES = 4096;

export interface BackupHeader {
  readonly revision: bigint;
  readonly epoch: string;
  readonly databaseBytes: bigint;
  /** When the backup was taken, RFC 3339. */
  readonly createTime: string;
  /** Of the program that took it. */
  readonly version: string;
}

/** The bytes of a backup file. Fails when the database is not as long as the header says. */
export async function* encodeBackup(
  header: BackupHeader,
  database: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const hash = createHash("sha256");
  const { revision, epoch, databaseBytes, createTime, version } = header;
  const json = { revision: `${revision}`, epoch, databaseBytes: `${databaseBytes}`, createTime, version };
  const head = Buffer.from(`${FIRST_LINE}${JSON.stringify(json)}\n`);
  hash.update(head);
  yield Uint8Array.from(head);
  let written = 0n;
  for await (const chunk of database) {
    written += BigInt(chunk.length);
    hash.update(chunk);
    yield Uint8Array.from(chunk);
  }
  if (written !== databaseBytes) throw damaged("the server sent a database of another length than it said");
  yield Uint8Array.from(Buffer.from(`${hash.digest("hex")}\n`));
}

/** Takes a backup file apart, piece by piece; nothing that it gave counts before `end` returned. */
export class BackupDecoder {
  readonly #hash: Hash = createHash("sha256");
  #header: BackupHeader | undefined;
  /** What can't be told yet: the header until it is whole, then the end of the file. */
  #held = Buffer.alloc(0);
  #databaseLeft = 0n;

  /** The pieces of the database in the next bytes of the file. */
  push(bytes: Uint8Array): Uint8Array {
    this.#held = Buffer.concat([this.#held, bytes]);
    if (this.#header === undefined && !this.#readHeader()) return new Uint8Array();
    const length = Number(
      this.#databaseLeft < BigInt(this.#held.length) ? this.#databaseLeft : this.#held.length,
    );
    const piece = this.#held.subarray(0, length);
    this.#hash.update(piece);
    this.#databaseLeft -= BigInt(length);
    this.#held = this.#held.subarray(length);
    if (this.#held.length > CHECKSUM_BYTES) throw damaged("something stands behind its end");
    return piece;
  }

  /** Throws unless the file was whole and is as it was written. */
  end(): BackupHeader {
    if (this.#header === undefined || this.#databaseLeft > 0n || this.#held.length < CHECKSUM_BYTES) {
      throw damaged("it is cut short");
    }
    if (this.#held.toString("latin1") !== `${this.#hash.digest("hex")}\n`) {
      throw damaged("its checksum does not match");
    }
    return this.#header;
  }

  #readHeader(): boolean {
    const start = Buffer.from(FIRST_LINE);
    const seen = this.#held.subarray(0, start.length);
    if (!start.subarray(0, seen.length).equals(seen)) throw damaged("it does not begin as a backup");
    const end = this.#held.indexOf("\n", start.length);
    if (end < 0) {
      if (this.#held.length > MAX_HEADER_BYTES) throw damaged("its header has no end");
      return false;
    }
    this.#header = parseHeader(this.#held.toString("utf8", start.length, end));
    this.#databaseLeft = this.#header.databaseBytes;
    this.#hash.update(this.#held.subarray(0, end + 1));
    this.#held = this.#held.subarray(end + 1);
    return true;
  }
}

function parseHeader(text: string): BackupHeader {
  try {
    const { revision, epoch, databaseBytes, createTime, version } = JSON.parse(text);
    if (![revision, databaseBytes].every((number) => /^[0-9]{1,19}$/.test(number)))
      throw new Error("no number");
    return { revision: BigInt(revision), epoch, databaseBytes: BigInt(databaseBytes), createTime, version };
  } catch {
    throw damaged("its header can't be read");
  }
}

export function damaged(how: string): SlotsError {
  return new SlotsError("RECORD_DAMAGED", `the backup can't be used: ${how}`);
}
