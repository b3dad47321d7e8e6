import { join } from "node:path";
import Database from "better-sqlite3";

/** Flips one bit in the sealed value of a slot, in the store of a server that is down. */
export function damageRecord(dataDir: string, name: string, slot: bigint): void {
  const database = new Database(join(dataDir, "store.db"), { fileMustExist: true });
  try {
    const where = "WHERE slot = ? AND secret_id = (SELECT secret_id FROM secrets WHERE name = ?)";
    const row = database.prepare(`SELECT ciphertext FROM slots ${where}`).get(slot, name) as {
      ciphertext: Buffer;
    };
    const damaged = Buffer.from(row.ciphertext);
    damaged[damaged.length - 1]! ^= 1;
    database.prepare(`UPDATE slots SET ciphertext = ? ${where}`).run(damaged, slot, name);
  } finally {
    database.close();
  }
}
