import { type FileHandle, open, readFile } from "node:fs/promises";
import { Decrypter, Encrypter } from "age-encryption";
import { SlotsError } from "../domain/errors.ts";
import { BackupDecoder, type BackupHeader, damaged } from "./backup-format.ts";

const CHUNK_BYTES = 256 * 1024;
const AGE_START = "age-encryption.org/v1\n";

/** Tells how many of how many bytes are done. */
export type OnProgress = (done: bigint, total: bigint) => void;

/** Encrypts for the recipients (`age1…`), so that the `age` tool opens it with any one of their identities. */
export async function encryptFor(
  recipients: readonly string[],
  plain: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch {
      throw new SlotsError("INVALID_FIELD", `'${recipient}' is no age recipient (age1…)`);
    }
  }
  return encrypter.encrypt(ReadableStream.from(plain));
}

/** Writes the database of a backup into a new file (0600). Fails unless the backup is whole and undamaged. */
export async function extractDatabase(
  backup: string,
  target: string,
  identityFile: string | undefined,
  onProgress: OnProgress = () => {},
): Promise<BackupHeader> {
  const decoder = new BackupDecoder();
  const out = await open(target, "wx", 0o600);
  try {
    for await (const bytes of await plainOf(backup, identityFile, onProgress)) {
      await writeAll(out, decoder.push(bytes));
    }
    const header = decoder.end();
    await out.sync();
    return header;
  } finally {
    await out.close();
  }
}

async function plainOf(
  backup: string,
  identityFile: string | undefined,
  onProgress: OnProgress,
): Promise<AsyncIterable<Uint8Array>> {
  if (!(await isEncrypted(backup))) return counted(backup, onProgress);
  if (identityFile === undefined) {
    throw new SlotsError(
      "KEY_NOT_LOADED",
      `${backup} is encrypted with age: give the identity with --age-identity FILE`,
    );
  }
  const decrypter = new Decrypter();
  for (const identity of await identitiesIn(identityFile)) decrypter.addIdentity(identity);
  try {
    return decrypted(await decrypter.decrypt(ReadableStream.from(counted(backup, onProgress))));
  } catch (cause) {
    const wrong = cause instanceof Error && /identit/i.test(cause.message);
    if (!wrong) throw damaged("its encryption is damaged");
    throw new SlotsError("KEY_NOT_LOADED", `no identity in ${identityFile} opens ${backup}`, { cause });
  }
}

/** The file's bytes, telling how far it has come. */
async function* counted(
  path: string,
  onProgress: OnProgress,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const file = await open(path, "r");
  try {
    const total = BigInt((await file.stat()).size);
    for (let done = 0n; ; ) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
      done += BigInt(bytesRead);
      onProgress(done, total);
    }
  } finally {
    await file.close();
  }
}

async function* decrypted(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const pieces = plain[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await pieces.next().catch(() => {
      throw damaged("it is cut short, or its encryption is damaged");
    });
    if (done) return;
    yield value;
  }
}

async function isEncrypted(backup: string): Promise<boolean> {
  const handle = await open(backup, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(AGE_START.length), 0, AGE_START.length, 0);
    return buffer.toString("latin1", 0, bytesRead) === AGE_START;
  } finally {
    await handle.close();
  }
}

/** Identities in a file as `age-keygen` writes it. */
async function identitiesIn(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, "utf8")).split("\n").map((line) => line.trim());
  const identities = lines.filter((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (identities.length > 0) return identities;
  throw new SlotsError("KEY_NOT_LOADED", `${file} holds no age identity (a line AGE-SECRET-KEY-…)`);
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}
