import type { Policy } from "../../domain/access.ts";
import type { SecretName } from "../../domain/names.ts";
import type { Revision, SlotNumber } from "../../domain/numbers.ts";
import type { MasterKeyRecord, StoreKeyRecord } from "../../domain/sealed-record.ts";
import type { CommitResult, RequestKey } from "../commit.ts";
import type {
  AuditAnchor,
  ChangeRecord,
  Head,
  RewrapItem,
  SecretMeta,
  SlotRow,
  TokenRecord,
} from "../records.ts";
import { parseToken, policyColumns, type TokenColumns, tokenColumns } from "./access-rows.ts";
import { changeColumns } from "./change-rows.ts";
import type { Connection, Statement } from "./connection.ts";
import { type HeadColumns, headSum, parseHead } from "./head-row.ts";
import { encodeResult } from "./result-codec.ts";
import {
  type KeyedSecret,
  parseSecret,
  parseSlot,
  type SecretColumns,
  type SlotColumns,
  secretColumns,
  slotColumns,
} from "./secret-rows.ts";

/** What the writer runs, statement by statement. */
export const SQL = {
  head: "SELECT epoch, revision, access_revision FROM store",
  saveHead: "UPDATE store SET epoch = ?, revision = ?, access_revision = ?, row_sum = ?",
  identity: "SELECT store_id FROM store",
  secret: "SELECT * FROM secrets WHERE name = ?",
  insertSecret: `INSERT INTO secrets VALUES (@secret_id, @name, @comment, @labels, @create_time, @update_time,
    @revision, @state_revision, @born_revision, @enabled_count, @disabled_count, @destroyed_count,
    @current_slot, @last_slot, @row_sum)`,
  updateSecret: `UPDATE secrets SET comment = @comment, labels = @labels, update_time = @update_time,
    revision = @revision, state_revision = @state_revision, enabled_count = @enabled_count,
    disabled_count = @disabled_count, destroyed_count = @destroyed_count, current_slot = @current_slot,
    last_slot = @last_slot, row_sum = @row_sum WHERE secret_id = @secret_id`,
  deleteSecret: "DELETE FROM secrets WHERE secret_id = ?",
  nextSecretId: "SELECT coalesce(max(secret_id), 0) + 1 AS id FROM secrets",
  slot: "SELECT * FROM slots WHERE secret_id = ? AND slot = ?",
  highestEnabled:
    "SELECT slot FROM slots WHERE secret_id = +? AND state = 'enabled' ORDER BY slot DESC LIMIT 1",
  saveSlot: `INSERT INTO slots (secret_id, slot, state, create_time, update_time, revision, value_revision,
    version_id, size, row_sum, key_id, wrapped_key, ciphertext) VALUES (@secret_id, @slot, @state, @create_time,
    @update_time, @revision, @value_revision, @version_id, @size, @row_sum, @key_id, @wrapped_key, @ciphertext)
    ON CONFLICT (secret_id, slot) DO UPDATE SET state = excluded.state, create_time = excluded.create_time,
    update_time = excluded.update_time, revision = excluded.revision, value_revision = excluded.value_revision,
    version_id = excluded.version_id, size = excluded.size, row_sum = excluded.row_sum, key_id = excluded.key_id,
    wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext`,
  bury: "INSERT INTO tombstones VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision, time = excluded.time",
  change: `INSERT INTO changes VALUES (@revision, @commit_id, @time, @kind, @name, @slot, @subject, @principal, @rpc,
    @request_id, @row_sum)`,
  request:
    "SELECT digest, result FROM requests WHERE principal = ? AND rpc = ? AND request_id = ? AND expire_time > ?",
  saveRequest: "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?)",
  token: "SELECT * FROM tokens WHERE token_id = ?",
  insertToken: `INSERT INTO tokens VALUES (@token_id, @hash, @principal, @groups, @comment, @create_time,
    @expire_time, @revoke_time, @row_sum)`,
  updateToken: "UPDATE tokens SET revoke_time = @revoke_time, row_sum = @row_sum WHERE token_id = @token_id",
  clearPolicies: "DELETE FROM policies",
  insertPolicy: "INSERT INTO policies VALUES (@name, @body, @row_sum)",
  masterKey: "SELECT is_primary FROM master_keys WHERE key_id = ?",
  mayWrap: `SELECT EXISTS (SELECT 1 FROM master_keys WHERE key_id = ?)
    OR NOT EXISTS (SELECT 1 FROM master_keys) AS may`,
  addMasterKey: `INSERT INTO master_keys VALUES (?, (SELECT count(*) = 0 FROM master_keys), ?, ?)
    ON CONFLICT DO NOTHING`,
  makePrimary: "UPDATE master_keys SET is_primary = (key_id = ?)",
  deleteMasterKey: "DELETE FROM master_keys WHERE key_id = ?",
  keyUses: `SELECT (SELECT count(*) FROM slots WHERE key_id = @id)
    + (SELECT count(*) FROM store_keys WHERE key_id = @id) AS n`,
  saveStoreKey: "INSERT OR REPLACE INTO store_keys VALUES (?, ?, ?)",
  addStoreKey: "INSERT INTO store_keys VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  rewrap: `UPDATE slots SET key_id = ?, wrapped_key = ? WHERE slot = ? AND version_id = ? AND key_id IS NOT NULL
    AND secret_id = (SELECT secret_id FROM secrets WHERE name = ?)`,
  saveAnchor: "INSERT OR REPLACE INTO audit_anchors VALUES (?, ?, ?, ?, ?, ?)",
  // Of the oldest so many changes the first that is too young, else the last: the next part's first, or the newest.
  firstKept: `SELECT coalesce(min(revision) FILTER (WHERE time >= ?), max(revision)) AS revision
    FROM (SELECT revision, time FROM changes ORDER BY revision LIMIT ?)`,
  // A deletion is known for as long as its change is, so that no table is searched for what is old.
  pruneTombstones: `DELETE FROM tombstones WHERE revision < @before
    AND name IN (SELECT name FROM changes WHERE revision < @before AND kind = 'secret-deleted')`,
  pruneChanges: "DELETE FROM changes WHERE revision < ?",
  moveFloor: "UPDATE store SET floor = coalesce((SELECT min(revision) - 1 FROM changes), floor)",
  pruneRequests: "DELETE FROM requests WHERE expire_time <= ? LIMIT ?",
} as const;

/** The writer's tables, row by row. Every method runs inside the writer's transaction. */
export class WriterTables {
  readonly #db: Connection;
  readonly #statements = new Map<string, Statement>();
  #storeId: string | undefined;

  constructor(db: Connection) {
    this.#db = db;
  }

  head(): Head {
    return parseHead(this.#one<HeadColumns>(SQL.head)!);
  }

  saveHead(head: Head): void {
    this.#storeId ??= this.#one<{ store_id: string }>(SQL.identity)!.store_id;
    this.#run(SQL.saveHead, head.epoch, head.revision, head.accessRevision, headSum(this.#storeId, head));
  }

  secret(name: SecretName): KeyedSecret | undefined {
    const row = this.#one<SecretColumns>(SQL.secret, name);
    return row && parseSecret(row);
  }

  newSecretId(): bigint {
    return this.#one<{ id: bigint }>(SQL.nextSecretId)!.id;
  }

  insertSecret(id: bigint, meta: SecretMeta): void {
    this.#run(SQL.insertSecret, secretColumns(id, meta));
  }

  updateSecret(id: bigint, meta: SecretMeta): void {
    this.#run(SQL.updateSecret, secretColumns(id, meta));
  }

  /** Its slots go with it. */
  deleteSecret(id: bigint, name: SecretName, revision: Revision, time: number): void {
    this.#run(SQL.deleteSecret, id);
    this.#run(SQL.bury, name, revision, BigInt(time));
  }

  slot(secretId: bigint, slot: SlotNumber): SlotRow | undefined {
    const row = this.#one<SlotColumns>(SQL.slot, secretId, slot);
    return row && parseSlot(row);
  }

  highestEnabled(secretId: bigint): SlotNumber | undefined {
    return this.#one<{ slot: bigint }>(SQL.highestEnabled, secretId)?.slot as SlotNumber | undefined;
  }

  saveSlot(secretId: bigint, row: SlotRow): void {
    this.#run(SQL.saveSlot, slotColumns(secretId, row));
  }

  addChange(change: ChangeRecord): void {
    this.#run(SQL.change, changeColumns(change));
  }

  request(principal: string, rpc: string, id: string, now: number) {
    type Row = { readonly digest: Uint8Array; readonly result: string };
    return this.#one<Row>(SQL.request, principal, rpc, id, BigInt(now));
  }

  saveRequest(principal: string, rpc: string, request: RequestKey, result: CommitResult): void {
    const { id, digest, expireTime } = request;
    this.#run(SQL.saveRequest, principal, rpc, id, digest, encodeResult(result), BigInt(expireTime));
  }

  token(tokenId: string): TokenRecord | undefined {
    const row = this.#one<TokenColumns>(SQL.token, tokenId);
    return row && parseToken(row);
  }

  insertToken(token: TokenRecord): void {
    this.#run(SQL.insertToken, tokenColumns(token));
  }

  updateToken(token: TokenRecord): void {
    this.#run(SQL.updateToken, tokenColumns(token));
  }

  replacePolicies(policies: readonly Policy[]): void {
    this.#run(SQL.clearPolicies);
    for (const policy of policies) this.#run(SQL.insertPolicy, policyColumns(policy));
  }

  /** Undefined when the key is not known. */
  isPrimary(keyId: string): boolean | undefined {
    const row = this.#one<{ is_primary: bigint }>(SQL.masterKey, keyId);
    return row && row.is_primary === 1n;
  }

  /**
   * Whether a key that is wrapped by this master key may be written. By one that was retired it would be lost once
   * somebody throws that one away, as he then may.
   */
  mayWrap(keyId: string): boolean {
    return this.#one<{ may: bigint }>(SQL.mayWrap, keyId)!.may === 1n;
  }

  addMasterKey(key: MasterKeyRecord): void {
    this.#run(SQL.addMasterKey, key.keyId, key.check, BigInt(key.createTime));
  }

  makePrimary(keyId: string): void {
    this.#run(SQL.makePrimary, keyId);
  }

  deleteMasterKey(keyId: string): void {
    this.#run(SQL.deleteMasterKey, keyId);
  }

  /** Slot versions and store keys that this key wraps. */
  keyUses(keyId: string): bigint {
    return this.#one<{ n: bigint }>(SQL.keyUses, { id: keyId })!.n;
  }

  addStoreKey(record: StoreKeyRecord): void {
    this.#run(SQL.addStoreKey, record.purpose, record.keyId, record.wrappedKey);
  }

  saveStoreKey(record: StoreKeyRecord): void {
    this.#run(SQL.saveStoreKey, record.purpose, record.keyId, record.wrappedKey);
  }

  /** Whether the version is still there. */
  rewrap(item: RewrapItem): boolean {
    return this.#run(SQL.rewrap, item.keyId, item.wrappedKey, item.slot, item.versionId, item.name) > 0;
  }

  saveAnchor(anchor: AuditAnchor): void {
    const { chain, records, head, revision, time, closed } = anchor;
    this.#run(SQL.saveAnchor, chain, records, head, revision, BigInt(time), closed ? 1n : 0n);
  }

  /** Prunes at most `limit` rows of a kind; answers whether some may be left. The newest change is always kept. */
  prune(changesBefore: number, now: number, limit: number): boolean {
    const kept = this.#one<{ revision: bigint | null }>(
      SQL.firstKept,
      BigInt(changesBefore),
      limit + 1,
    )!.revision;
    if (kept !== null) this.#run(SQL.pruneTombstones, { before: kept });
    const changes = kept === null ? 0 : this.#run(SQL.pruneChanges, kept);
    if (changes > 0) this.#run(SQL.moveFloor);
    const requests = this.#run(SQL.pruneRequests, BigInt(now), limit);
    return changes === limit || requests === limit;
  }

  #prepared(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #one<Row>(sql: string, ...values: readonly unknown[]): Row | undefined {
    return this.#prepared(sql).get(...values) as Row | undefined;
  }

  #run(sql: string, ...values: readonly unknown[]): number {
    return this.#prepared(sql).run(...values).changes;
  }
}
