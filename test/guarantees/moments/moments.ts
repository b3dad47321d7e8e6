import type { SourceEdit } from "../support/edited-sources.ts";

/** What a program prints when it is killed at a moment. */
export const REACHED = "killed at its moment\n";

/** What must go on for a moment to come. */
export type During =
  | "first start"
  | "start"
  | "load"
  | "migration"
  | "rewrap"
  | "backup"
  | "backup create"
  | "backup restore";

/** A place in the program at which it can be killed. */
export interface Moment {
  readonly name: string;
  readonly during: During;
  readonly edit: SourceEdit;
  /** It is killed there for the first to the so manieth time; 1 where it comes only once. */
  readonly times: number;
}

const HERE = "globalThis.slotsMoment();";

function moment(
  during: During,
  name: string,
  times: number,
  file: string,
  find: string,
  replace: string,
): Moment {
  return { name, during, times, edit: { file, find, replace } };
}

const before = (during: During, name: string, times: number, file: string, text: string): Moment =>
  moment(during, name, times, file, text, `${HERE}\n${text}`);

const after = (during: During, name: string, times: number, file: string, text: string): Moment =>
  moment(during, name, times, file, text, `${text}\n${HERE}`);

const GROUP = "storage/sqlite/group-writer.ts";
const COMMIT = "      this.#commit.run();";
const DIRECT = "server/direct/direct-calls.ts";
const ANSWER = "      call.answer(frame);";
const CHAIN = "audit/chain-writer.ts";
const APPEND = `        this.#segment.append(Buffer.from(next.text, "utf8"));`;
const AUDIT_LOG = "audit/file-audit-log.ts";
const WATCH = "core/watch-secret.ts";
const CHECKPOINTER = "storage/sqlite/checkpointer.ts";
const TRUNCATE = `      return this.#run("TRUNCATE").busy === 0n;`;
const KEYS = "core/master-keys.ts";
const STORE_KEYS = "      await this.#rewrapStoreKeys(primaryId);";
const BATCH = "      yield await storage.rewrap(items);";
const CREATE = "storage/sqlite/create.ts";
const RESTORE = "storage/sqlite/restore.ts";
const OFFLINE_RESTORE = "offline/backup-restore.ts";
const CLI_BACKUP = "cli/backup.ts";

export const MOMENTS: readonly Moment[] = [
  // A change, from its group to its answer
  moment(
    "load",
    "between two changes of a group",
    12,
    GROUP,
    "      this.#release.run();\n      return [{ ok: true",
    `      this.#release.run();\n      ${HERE}\n      return [{ ok: true`,
  ),
  before("load", "before the commit", 8, GROUP, COMMIT),
  after("load", "after the commit, before anybody knows", 8, GROUP, COMMIT),
  before(
    "load",
    "after the commit, before its audit record",
    8,
    "core/change.ts",
    "      await this.#answered(outcome.result, about, true)",
  ),
  before("load", "before the reply", 40, DIRECT, ANSWER),
  after("load", "after the reply", 40, DIRECT, ANSWER),

  // The audit log
  before("load", "before an audit write", 12, CHAIN, APPEND),
  moment(
    "load",
    "inside an audit write",
    12,
    "audit/segment-file.ts",
    "        done += this.#fs.writeSync(this.#fd, bytes, done, bytes.length - done, this.#length + done);",
    `        globalThis.slotsMoment(() =>
          this.#fs.writeSync(this.#fd, bytes, done, (bytes.length - done) >> 1, this.#length + done));
        done += this.#fs.writeSync(this.#fd, bytes, done, bytes.length - done, this.#length + done);`,
  ),
  after("load", "after an audit write", 12, CHAIN, APPEND),
  after(
    "load",
    "between two segments of the audit log",
    2,
    CHAIN,
    "    this.#must(() => before.flush());\n    try {\n      this.#segment = this.#begin();",
  ),
  before("load", "before an audit anchor", 1, AUDIT_LOG, "    await this.#options.anchor({"),
  before("load", "after an audit anchor", 1, AUDIT_LOG, "    this.#anchoredSeq = seq;"),

  // A watch
  after(
    "load",
    "between the registration of a watch and its snapshot",
    6,
    WATCH,
    "    if (woken === undefined) subscription.arm();",
  ),
  before(
    "load",
    "between the snapshot of a watch and its event",
    10,
    WATCH,
    "    session.require(head, name);",
  ),
  before("load", "between an event's audit record and the event", 10, WATCH, "      yield { message };"),
  before("load", "between an event and the wait for the next", 10, WATCH, "    woken = yield {"),

  // What destroying leaves in the WAL
  before("load", "after a destroy, before its checkpoint", 1, CHECKPOINTER, TRUNCATE),
  moment(
    "load",
    "after the checkpoint of a destroy",
    1,
    CHECKPOINTER,
    TRUNCATE,
    `      const done = this.#run("TRUNCATE").busy === 0n;\n      ${HERE}\n      return done;`,
  ),

  // Starts
  before("first start", "a new store is made and not named", 1, CREATE, "      publish(draft, file);"),
  after("first start", "a new store is named", 1, CREATE, "      publish(draft, file);"),
  after(
    "first start",
    "the tables of a new store are made, in its transaction",
    1,
    CREATE,
    "    for (const sql of MIGRATIONS.slice(version)) db.exec(sql);",
  ),
  before(
    "first start",
    "the master key is made and not named",
    1,
    "crypto/master-key-file.ts",
    "    publish(draft, path);",
  ),
  before(
    "first start",
    "between the store's own keys",
    2,
    "first-start.ts",
    "    const record = storage.storeKeys().find(",
  ),
  before(
    "first start",
    "the admin token has its file and is not in the store",
    1,
    "first-start.ts",
    "  await storage.commit({",
  ),
  before("first start", "before the first audit anchor", 1, AUDIT_LOG, "      await log.#anchor(false);"),
  before("start", "recovered and not flushed", 1, "storage/sqlite/open.ts", "    settle(files);"),
  after(
    "start",
    "a change of before is added to the audit log",
    1,
    "core/complete-audit.ts",
    "      await log.append(completedRecord(change));",
  ),
  before(
    "start",
    "the audit log is complete, and not said to be",
    1,
    "core/complete-audit.ts",
    "  await storage.putAuditAnchors(ended.map(",
  ),

  // Another schema
  after(
    "migration",
    "in a migration, after its statements",
    1,
    CREATE,
    "    for (const sql of MIGRATIONS.slice(version)) db.exec(sql);",
  ),
  before("migration", "in a migration, before its commit", 1, CREATE, "  });\n  run.immediate();"),
  after("migration", "after a migration", 1, CREATE, "  run.immediate();"),

  // A rotation of the master key
  before("rewrap", "the primary key is another, nothing is rewrapped", 1, KEYS, STORE_KEYS),
  after("rewrap", "the store's own keys are rewrapped", 1, KEYS, STORE_KEYS),
  before("rewrap", "before a batch of a rewrap", 3, KEYS, BATCH),
  before(
    "rewrap",
    "in a batch of a rewrap, before its commit",
    3,
    GROUP,
    "        return { output: count, wrote: count > 0 };",
  ),
  moment(
    "rewrap",
    "after a batch of a rewrap",
    3,
    KEYS,
    BATCH,
    `      const rewrapped = await storage.rewrap(items);\n      ${HERE}\n      yield rewrapped;`,
  ),

  // A backup, in the server
  before(
    "backup",
    "before the copy of a backup",
    1,
    "storage/sqlite/backup-thread.ts",
    `      db.prepare("VACUUM INTO ?").run(copy);`,
  ),
  after(
    "backup",
    "after the copy of a backup",
    1,
    "storage/sqlite/backup-thread.ts",
    `      db.prepare("VACUUM INTO ?").run(copy);`,
  ),
  before("backup", "before a piece of a backup", 1, "core/backup.ts", "        yield first ?"),

  // A backup, in the command
  after(
    "backup create",
    "a part of a backup is written",
    2,
    CLI_BACKUP,
    "        await file.writeFile(chunk);",
  ),
  after(
    "backup create",
    "a backup is written and not flushed",
    1,
    CLI_BACKUP,
    "        size += chunk.length;\n      }",
  ),
  before(
    "backup create",
    "a backup is whole and not named",
    1,
    CLI_BACKUP,
    "    if (replace) await rename(draft, path);",
  ),
  before(
    "backup create",
    "a backup is named",
    1,
    CLI_BACKUP,
    "    return size;\n  } finally {\n    await rm(draft",
  ),

  // A restore
  after(
    "backup restore",
    "a restore begins",
    1,
    OFFLINE_RESTORE,
    '    const database = join(scratch, "backup.db");',
  ),
  before(
    "backup restore",
    "a backup is taken out of its file",
    1,
    OFFLINE_RESTORE,
    "    const trial = join(",
  ),
  before(
    "backup restore",
    "a backup is being checked",
    1,
    OFFLINE_RESTORE,
    "    const report = await checkStore(",
  ),
  before(
    "backup restore",
    "a backup is checked",
    1,
    OFFLINE_RESTORE,
    "    const { storeId, head } = restoreStoreFile(database, dataDir);",
  ),
  before("backup restore", "a backup is copied", 1, RESTORE, "    const epoch = startNewEpoch(draft);"),
  before("backup restore", "before the new epoch", 1, RESTORE, "    renew.immediate();"),
  after("backup restore", "after the new epoch", 1, RESTORE, "    renew.immediate();"),
  before(
    "backup restore",
    "a restored store is whole and not named",
    1,
    RESTORE,
    "    publish(draft, file);",
  ),
  after("backup restore", "a restored store is named", 1, "disk/durable.ts", "    linkSync(draft, file);"),
  after(
    "backup restore",
    "a restored store is named and its name is safe",
    1,
    RESTORE,
    "    publish(draft, file);",
  ),
];

/** A schema version more, as a later program would have it. */
export const MIGRATION: SourceEdit = {
  file: "storage/sqlite/schema.ts",
  find: "];\n\nexport const SCHEMA_VERSION",
  replace: `  \`
  CREATE TABLE later (name TEXT PRIMARY KEY, slots INTEGER NOT NULL) STRICT;
  INSERT INTO later SELECT name, (SELECT count(*) FROM slots WHERE slots.secret_id = secrets.secret_id) FROM secrets;
  CREATE INDEX slots_later ON slots (update_time);
  \`,
];

export const SCHEMA_VERSION`,
};
