import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Keyring } from "../../../src/crypto/keyring.ts";
import { readMasterKeyFile } from "../../../src/crypto/master-key-file.ts";
import { parseToken } from "../../../src/crypto/tokens.ts";
import { verifyBackup } from "../../../src/offline/backup-check.ts";
import { restoreRemains } from "../../../src/storage/sqlite/remains.ts";
import { type ServerOptions, ServerProcess } from "../../support/server-process.ts";
import { Wire } from "../../support/wire.ts";
import type { Judge } from "./cuts.ts";
import { integrityOf } from "./integrity.ts";
import { shown } from "./ledger.ts";
import { possibleAt, type RecordedRun, toldBy } from "./recorded-run.ts";
import { StoredValues } from "./stored-values.ts";
import { BACKUP, CREATED, generated, RESTORED, RESTORED_IT, retired, STORE } from "./stories.ts";
import { readContents } from "./writer.ts";

const CHECKED_ONE_IN = 50;

/** The keys that a cut left; undefined where there is no file of them. */
export function keysIn(file: string): Keyring | undefined {
  return existsSync(file) ? new Keyring(readMasterKeyFile(file)) : undefined;
}

/** Opens what a cut left as a server would, and compares every value with what had been answered by then. */
export function judgeStore(run: RecordedRun): Judge {
  let judged = 0;
  return (folder, time) =>
    orError(() => {
      const dataDir = join(folder, STORE);
      // The open below has the library look at each; its own program looks at some.
      judged += 1;
      if (judged % CHECKED_ONE_IN === 0 && existsSync(join(dataDir, "store.db"))) {
        const found = integrityOf(dataDir);
        if (found !== "ok") return `sqlite3 says: ${found}`;
      }
      const token = join(dataDir, "admin.token");
      if (existsSync(token) && parseToken(readFileSync(token, "utf8").trim()) === undefined) {
        return "the admin token's file is there, and holds none: the next start would stop at it";
      }
      return wrongValues(run, time, dataDir, keysIn(join(dataDir, "master.key")));
    });
}

/** The same, with the keys that must be there by then, and without those that may be gone. */
export function judgeKeys(run: RecordedRun): Judge {
  const store = judgeStore(run);
  return (folder, time) =>
    orError(async () => {
      const dataDir = join(folder, STORE);
      const file = join(dataDir, "master.key");
      const keys = existsSync(file) ? readMasterKeyFile(file) : [];
      const said = new Set(toldBy(run, time));
      const lost = [...said].filter(
        (what) => what.startsWith(generated("")) && !keys.some(({ id }) => what === generated(id)),
      );
      if (lost.length > 0) return `not in the key file: ${lost.join(", ")}`;
      const rest = keys.filter(({ id }) => !said.has(retired(id)));
      if (rest.length < keys.length) return wrongValues(run, time, dataDir, new Keyring(rest));
      return store(folder, time);
    });
}

/** A backup is whole or not there; so is a restored store. */
export function judgeBackups(run: RecordedRun): Judge {
  const verified = new Set<string>();
  return (folder, time) =>
    orError(async () => {
      const said = toldBy(run, time);
      const masterKeyFile = join(folder, "master.key");
      const file = join(folder, BACKUP);
      if (existsSync(file)) {
        // It takes long, and the file is the same after most cuts.
        const digest = createHash("sha1").update(readFileSync(file)).digest("base64");
        const { failures, records } = verified.has(digest)
          ? { failures: [], records: 1 }
          : await verifyBackup({ file, masterKeyFile });
        if (failures.length > 0 || records === 0)
          return `${failures.length} of the backup's ${records} records are bad`;
        verified.add(digest);
      } else if (said.includes(CREATED)) return "the backup is gone";
      const dataDir = join(folder, RESTORED);
      if (existsSync(join(dataDir, "store.db")))
        return wrongValues(run, Number.POSITIVE_INFINITY, dataDir, keysIn(masterKeyFile));
      return said.includes(RESTORED_IT) ? "the restored store is gone" : undefined;
    });
}

/** A few by whole servers: each starts, tells what was answered, and takes writes. */
export function serveStore(run: RecordedRun): Judge {
  return (folder, time) => served(run, time, { dataDir: join(folder, STORE) });
}

/** Where a restore did not come to its end, a server refuses to start or finds what it would have found before. */
export function serveRestored(run: RecordedRun): Judge {
  return async (folder) => {
    const dataDir = join(folder, RESTORED);
    const args = ["--master-key-file", join(folder, "master.key")];
    const token = readFileSync(join(folder, "admin.token"), "utf8").trim();
    if (existsSync(join(dataDir, "store.db")))
      return served(run, Number.POSITIVE_INFINITY, { dataDir, args }, token);
    if (!existsSync(dataDir) || restoreRemains(dataDir).length === 0) return undefined;
    const { code, output } = await ServerProcess.startFailing({ dataDir, args });
    return output.includes("a restore into") ? undefined : `the server did not refuse (${code}): ${output}`;
  };
}

async function served(
  run: RecordedRun,
  time: number,
  options: ServerOptions,
  token?: string,
): Promise<string | undefined> {
  const server = await ServerProcess.start(options);
  const wire = new Wire(server.address, token ?? server.adminToken);
  try {
    for (const [name, history] of run.histories) {
      const found = shown(await readContents(wire, name));
      const possible = possibleAt(history, time).map(shown);
      if (!possible.includes(found)) return `${name} holds ${found} and should hold ${possible.join(" or ")}`;
    }
    await wire.put("after/the-cut", 0n, "written");
    return undefined;
  } finally {
    wire.close();
    await server.kill();
  }
}

function wrongValues(
  run: RecordedRun,
  time: number,
  dataDir: string,
  keyring: Keyring | undefined,
): string | undefined {
  if (keyring === undefined && existsSync(join(dataDir, "store.db")))
    return "the store is there, and its key is not";
  const store = keyring && StoredValues.open(dataDir, keyring);
  try {
    for (const [name, history] of run.histories) {
      const possible = possibleAt(history, time);
      const found = store?.contents(name) ?? new Map();
      if (possible.some((contents) => whole(contents) === whole(found))) continue;
      return `${name} holds ${shown(found)} and should hold ${possible.map(shown).join(" or ")}`;
    }
    return undefined;
  } finally {
    store?.close();
  }
}

/** Also what disabled slots hold, which no caller could read. */
function whole(contents: ReadonlyMap<bigint, { readonly state: string; readonly value: string }>): string {
  return JSON.stringify([...contents].map(([slot, held]) => [String(slot), held.state, held.value]).sort());
}

async function orError(
  judge: () => string | undefined | Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    return await judge();
  } catch (error) {
    return `it does not open: ${String(error)}`;
  }
}
