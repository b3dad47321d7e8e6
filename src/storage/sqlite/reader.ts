import type { Policy } from "../../domain/access.ts";
import type { SecretName } from "../../domain/names.ts";
import type { Revision, SlotNumber } from "../../domain/numbers.ts";
import type { MasterKeyRecord, StoreKeyPurpose, StoreKeyRecord } from "../../domain/sealed-record.ts";
import type {
  AccessRead,
  AuditAnchor,
  ChangePage,
  ChangeRecord,
  Head,
  RequestRecord,
  SecretPage,
  SecretRead,
  SlotPage,
  SlotQuery,
  SlotRead,
  SlotRow,
  TokenPage,
  TokenRead,
  WrappedPage,
} from "../records.ts";
import { type PolicyColumns, parsePolicyRow, parseToken, type TokenColumns } from "./access-rows.ts";
import { type ChangeColumns, parseChange } from "./change-rows.ts";
import type { Connection, Statement } from "./connection.ts";
import { type HeadColumns, headSum, parseHead } from "./head-row.ts";
import { decodeResult } from "./result-codec.ts";
import {
  type KeyedSecret,
  parseSecret,
  parseSlot,
  parseSlotMeta,
  type SecretColumns,
  SLOT_META_COLUMNS,
  type SlotColumns,
} from "./secret-rows.ts";
import { damaged, toSlotsError } from "./sqlite-errors.ts";

const META = SLOT_META_COLUMNS;

// `secret_id = +?`: beside a range and a partial index, SQLite plans a statement anew at each bare parameter that
// is bound (built with STAT4), which costs six times the seek itself. The plan is the same.
/** What is read, statement by statement. */
export const SQL = {
  head: "SELECT epoch, revision, access_revision FROM store",
  stand:
    "SELECT epoch, revision, access_revision, floor, (SELECT revision FROM tombstones WHERE name = ?) AS deleted FROM store",
  floor: "SELECT floor FROM store",
  secret: "SELECT * FROM secrets WHERE name = ?",
  secretsFrom: "SELECT * FROM secrets WHERE name >= ? ORDER BY name LIMIT ?",
  secretsIn: "SELECT * FROM secrets WHERE name >= ? AND name < ? ORDER BY name LIMIT ?",
  slot: "SELECT * FROM slots WHERE secret_id = ? AND slot = ?",
  effectiveAt:
    "SELECT * FROM slots WHERE secret_id = +? AND state = 'enabled' AND slot <= ? ORDER BY slot DESC LIMIT 1",
  changesAfter: "SELECT * FROM changes WHERE revision > ? ORDER BY revision LIMIT ?",
  changeAt: "SELECT * FROM changes WHERE revision = ?",
  request:
    "SELECT digest, result, expire_time FROM requests WHERE principal = ? AND rpc = ? AND request_id = ?",
  policies: "SELECT * FROM policies ORDER BY name",
  token: "SELECT * FROM tokens WHERE hash = ?",
  tokens: "SELECT * FROM tokens ORDER BY create_time, token_id LIMIT ?",
  tokensAfter: `SELECT * FROM tokens WHERE (create_time, token_id) >
    (SELECT create_time, token_id FROM tokens WHERE token_id = ?) ORDER BY create_time, token_id LIMIT ?`,
  masterKeys: "SELECT * FROM master_keys ORDER BY key_id",
  storeKeys: "SELECT * FROM store_keys ORDER BY purpose",
  countWrapped: `SELECT count(*) AS n, max(row_id) AS last
    FROM (SELECT row_id FROM slots WHERE key_id = ? AND row_id > ? ORDER BY row_id LIMIT ?)`,
  wrapped: `SELECT s.row_id, n.name, s.slot, s.version_id, s.key_id, s.wrapped_key
    FROM slots s JOIN secrets n USING (secret_id) WHERE s.key_id = ? AND s.row_id > ? ORDER BY s.row_id LIMIT ?`,
  anchors: "SELECT * FROM audit_anchors ORDER BY chain",
  identity: "SELECT store_id FROM store",
  whole: "SELECT store_id, row_sum, (SELECT coalesce(max(revision), 0) FROM changes) AS newest FROM store",
} as const;

/**
 * All reads of the port over one connection, which nothing is written through. Each is one moment: one statement,
 * or one read transaction.
 */
export class Reader {
  readonly #db: Connection;
  readonly #statements = new Map<string, Statement>();
  readonly #moment: <T>(read: () => T) => T;
  readonly #head: Statement;
  readonly #dataVersion: Statement;
  #known: { readonly version: unknown; readonly head: Head } | undefined;

  constructor(db: Connection) {
    this.#db = db;
    this.#moment = db.transaction((read: () => unknown) => read()) as <T>(read: () => T) => T;
    this.#head = db.prepare(SQL.head);
    this.#dataVersion = db.prepare("PRAGMA data_version").pluck().safeIntegers(false);
  }

  storeId(): string {
    return guarded(() => this.#one<{ store_id: string }>(SQL.identity)!.store_id);
  }

  /** Whether the store's own row is as it was written, and of the same moment as the newest change. */
  standsWhole(): boolean {
    return this.#at(() => {
      const row = this.#one<{ store_id: string; row_sum: bigint; newest: bigint }>(SQL.whole)!;
      const head = this.#readHead();
      return row.row_sum === headSum(row.store_id, head) && row.newest === head.revision;
    });
  }

  /**
   * SQLite's data version moves with every commit of another connection, the writer's among them; while it stands
   * still, so does the head. Read before the head, so that a commit in between is seen at the next call at the latest.
   */
  head(): Head {
    return guarded(() => {
      const version = this.#dataVersion.get();
      const known = this.#known;
      if (known !== undefined && known.version === version) return known.head;
      const head = this.#readHead();
      this.#known = { version, head };
      return head;
    });
  }

  readSecret(name: SecretName): SecretRead {
    return this.#at(() => this.#stand(name).read);
  }

  readCurrent(name: SecretName): SlotRead {
    return this.#slotRead(name, ({ id, meta }) => {
      if (meta.currentSlot === undefined) return undefined;
      const row = this.#one<SlotColumns>(SQL.slot, id, meta.currentSlot);
      // Never another slot instead: a current slot that is not there or not enabled is damage (D3).
      if (row?.state !== "enabled") throw damaged("a secret's current slot");
      return row;
    });
  }

  readEffectiveAt(name: SecretName, at: SlotNumber): SlotRead {
    return this.#slotRead(name, ({ id }) => this.#one<SlotColumns>(SQL.effectiveAt, id, at));
  }

  readSlot(name: SecretName, slot: SlotNumber): SlotRead {
    return this.#slotRead(name, ({ id }) => this.#one<SlotColumns>(SQL.slot, id, slot));
  }

  listSecrets(range: { readonly from: string; readonly until?: string }, limit: number): SecretPage {
    return this.#at(() => {
      const rows =
        range.until === undefined
          ? this.#all<SecretColumns>(SQL.secretsFrom, range.from, limit)
          : this.#all<SecretColumns>(SQL.secretsIn, range.from, range.until, limit);
      return { head: this.#readHead(), secrets: rows.map((row) => parseSecret(row).meta) };
    });
  }

  listSlots(name: SecretName, query: SlotQuery): SlotPage {
    return this.#at(() => {
      const { read, id } = this.#stand(name);
      if (id === undefined) return { ...read, slots: [] };
      const from = query.changedAfter ?? query.after ?? -1n;
      const state = query.state === undefined || query.state === "enabled" ? [] : [query.state];
      const rows = this.#all<SlotColumns>(slotsSql(query), id, from, ...state, query.limit);
      return { ...read, slots: rows.map(query.withRecords ? parseSlot : withoutRecord) };
    });
  }

  changesAfter(revision: Revision, limit: number): ChangePage {
    return this.#at(() => ({
      head: this.#readHead(),
      changes: this.#all<ChangeColumns>(SQL.changesAfter, revision, limit).map(parseChange),
      floor: this.#one<{ floor: bigint }>(SQL.floor)!.floor as Revision,
    }));
  }

  changeAt(revision: Revision): ChangeRecord | undefined {
    return guarded(() => {
      const row = this.#one<ChangeColumns>(SQL.changeAt, revision);
      return row && parseChange(row);
    });
  }

  findRequest(principal: string, rpc: string, requestId: string): RequestRecord | undefined {
    return guarded(() => {
      const row = this.#one<RequestColumns>(SQL.request, principal, rpc, requestId);
      return (
        row && { digest: row.digest, result: decodeResult(row.result), expireTime: Number(row.expire_time) }
      );
    });
  }

  readAccess(): AccessRead {
    return this.#at(() => ({ head: this.#readHead(), policies: this.#policies() }));
  }

  readPolicies(): readonly Policy[] {
    return guarded(() => this.#policies());
  }

  findToken(hash: Uint8Array): TokenRead {
    return this.#at(() => {
      const row = this.#one<TokenColumns>(SQL.token, hash);
      return { head: this.#readHead(), token: row && parseToken(row) };
    });
  }

  listTokens(after: string | undefined, limit: number): TokenPage {
    return this.#at(() => {
      const rows =
        after === undefined
          ? this.#all<TokenColumns>(SQL.tokens, limit)
          : this.#all<TokenColumns>(SQL.tokensAfter, after, limit);
      return { head: this.#readHead(), tokens: rows.map(parseToken) };
    });
  }

  masterKeys(): readonly MasterKeyRecord[] {
    return guarded(() => this.#all<MasterKeyColumns>(SQL.masterKeys).map(parseMasterKey));
  }

  storeKeys(): readonly StoreKeyRecord[] {
    return guarded(() =>
      this.#all<StoreKeyColumns>(SQL.storeKeys).map((row) => ({
        purpose: row.purpose as StoreKeyPurpose,
        keyId: row.key_id,
        wrappedKey: row.wrapped_key,
      })),
    );
  }

  /** At most `limit` of them, after the cursor of the part before. */
  countWrappedBy(
    keyId: string,
    after: bigint,
    limit: number,
  ): { readonly count: bigint; readonly next: bigint | undefined } {
    return guarded(() => {
      const { n, last } = this.#one<{ n: bigint; last: bigint | null }>(
        SQL.countWrapped,
        keyId,
        after,
        limit,
      )!;
      return { count: n, next: n < BigInt(limit) ? undefined : (last ?? undefined) };
    });
  }

  listWrappedBy(keyId: string, after: string | undefined, limit: number): WrappedPage {
    return guarded(() => {
      const cursor = after === undefined ? 0n : BigInt(after);
      const rows = this.#all<WrappedColumns>(SQL.wrapped, keyId, cursor, limit);
      return {
        rows: rows.map((row) => ({
          name: row.name,
          slot: row.slot as SlotNumber,
          versionId: row.version_id,
          keyId: row.key_id,
          wrappedKey: row.wrapped_key,
        })),
        next: rows.length < limit ? undefined : rows[rows.length - 1]?.row_id.toString(),
      };
    });
  }

  auditAnchors(): readonly AuditAnchor[] {
    return guarded(() =>
      this.#all<AnchorColumns>(SQL.anchors).map((row) => ({
        chain: row.chain,
        records: row.records,
        head: row.head,
        revision: row.revision as Revision,
        time: Number(row.time),
        closed: row.closed === 1n,
      })),
    );
  }

  close(): void {
    this.#db.close();
  }

  #at<T>(read: () => T): T {
    return guarded(() => this.#moment(read));
  }

  #slotRead(name: SecretName, pick: (secret: KeyedSecret) => SlotColumns | undefined): SlotRead {
    return this.#at(() => {
      const { read, id } = this.#stand(name);
      const row = id === undefined || read.secret === undefined ? undefined : pick({ id, meta: read.secret });
      return { ...read, slot: row && parseSlot(row) };
    });
  }

  #stand(name: SecretName): { readonly read: SecretRead; readonly id: bigint | undefined } {
    const stand = this.#one<HeadColumns & { floor: bigint; deleted: bigint | null }>(SQL.stand, name)!;
    const row = this.#one<SecretColumns>(SQL.secret, name);
    const secret = row && parseSecret(row);
    return {
      id: secret?.id,
      read: {
        head: parseHead(stand),
        secret: secret?.meta,
        deletedRevision: (stand.deleted ?? 0n) as Revision,
        floor: stand.floor as Revision,
      },
    };
  }

  #readHead(): Head {
    return parseHead(this.#head.get() as HeadColumns);
  }

  #policies(): readonly Policy[] {
    return this.#all<PolicyColumns>(SQL.policies).map(parsePolicyRow);
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

  #all<Row>(sql: string, ...values: readonly unknown[]): Row[] {
    return this.#prepared(sql).all(...values) as Row[];
  }
}

/** One index gives each order, so a page costs what is on it; the live slots have one of their own. */
export function slotsSql({ changedAfter, state, withRecords }: SlotQuery): string {
  const order = changedAfter === undefined ? "slot" : "revision";
  const where = state === undefined ? "" : state === "enabled" ? "AND state = 'enabled'" : "AND state = ?";
  return `SELECT ${withRecords ? "*" : META} FROM slots WHERE secret_id = +? AND ${order} > ? ${where}
    ORDER BY ${order} LIMIT ?`;
}

function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toSlotsError(error);
  }
}

function withoutRecord(row: SlotColumns): SlotRow {
  return { ...parseSlotMeta(row), record: undefined };
}

interface RequestColumns {
  readonly digest: Uint8Array;
  readonly result: string;
  readonly expire_time: bigint;
}

interface MasterKeyColumns {
  readonly key_id: string;
  readonly is_primary: bigint;
  readonly check_record: Uint8Array;
  readonly create_time: bigint;
}

function parseMasterKey(row: MasterKeyColumns): MasterKeyRecord {
  return {
    keyId: row.key_id,
    primary: row.is_primary === 1n,
    check: row.check_record,
    createTime: Number(row.create_time),
  };
}

interface StoreKeyColumns {
  readonly purpose: string;
  readonly key_id: string;
  readonly wrapped_key: Uint8Array;
}

interface WrappedColumns {
  readonly row_id: bigint;
  readonly name: SecretName;
  readonly slot: bigint;
  readonly version_id: Uint8Array;
  readonly key_id: string;
  readonly wrapped_key: Uint8Array;
}

interface AnchorColumns {
  readonly chain: string;
  readonly records: bigint;
  readonly head: Uint8Array;
  readonly revision: bigint;
  readonly time: bigint;
  readonly closed: bigint;
}
