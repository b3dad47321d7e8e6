import type { Labels } from "../../domain/metadata.ts";
import { isSecretName } from "../../domain/names.ts";
import type { Revision, SlotNumber } from "../../domain/numbers.ts";
import type { SlotState } from "../../domain/slots.ts";
import type { SecretMeta, SlotMeta, SlotRow } from "../records.ts";
import { rowSum } from "./row-sum.ts";
import { damaged } from "./sqlite-errors.ts";

/** A row of `secrets` as SQLite gives it. */
export interface SecretColumns {
  readonly secret_id: bigint;
  readonly name: string;
  readonly comment: string;
  readonly labels: string;
  readonly create_time: bigint;
  readonly update_time: bigint;
  readonly revision: bigint;
  readonly state_revision: bigint;
  readonly born_revision: bigint;
  readonly enabled_count: bigint;
  readonly disabled_count: bigint;
  readonly destroyed_count: bigint;
  readonly current_slot: bigint | null;
  readonly last_slot: bigint;
  readonly row_sum: bigint;
}

/** A row of `slots` as SQLite gives it; the last three are left out where the record is not asked for. */
export interface SlotColumns {
  readonly row_id: bigint;
  readonly secret_id: bigint;
  readonly slot: bigint;
  readonly state: string;
  readonly create_time: bigint;
  readonly update_time: bigint;
  readonly revision: bigint;
  readonly value_revision: bigint;
  readonly version_id: Uint8Array;
  readonly size: bigint;
  readonly row_sum: bigint;
  readonly key_id?: string | null;
  readonly wrapped_key?: Uint8Array | null;
  readonly ciphertext?: Uint8Array | null;
}

/** Without the record's columns: lists don't touch the values' pages. */
export const SLOT_META_COLUMNS =
  "row_id, secret_id, slot, state, create_time, update_time, revision, value_revision, version_id, size, row_sum";

export interface KeyedSecret {
  readonly id: bigint;
  readonly meta: SecretMeta;
}

export function secretSum(row: Omit<SecretColumns, "row_sum">): bigint {
  return rowSum(
    row.secret_id,
    row.name,
    row.comment,
    row.labels,
    row.create_time,
    row.update_time,
    row.revision,
    row.state_revision,
    row.born_revision,
    row.enabled_count,
    row.disabled_count,
    row.destroyed_count,
    row.current_slot,
    row.last_slot,
  );
}

export function slotSum(row: Omit<SlotColumns, "row_id" | "row_sum">): bigint {
  return rowSum(
    row.secret_id,
    row.slot,
    row.state,
    row.create_time,
    row.update_time,
    row.revision,
    row.value_revision,
    row.version_id,
    row.size,
  );
}

export function secretColumns(id: bigint, meta: SecretMeta): SecretColumns {
  const row = {
    secret_id: id,
    name: meta.name,
    comment: meta.comment,
    labels: JSON.stringify(meta.labels),
    create_time: BigInt(meta.createTime),
    update_time: BigInt(meta.updateTime),
    revision: meta.revision,
    state_revision: meta.stateRevision,
    born_revision: meta.bornRevision,
    enabled_count: BigInt(meta.enabledCount),
    disabled_count: BigInt(meta.disabledCount),
    destroyed_count: BigInt(meta.destroyedCount),
    current_slot: meta.currentSlot ?? null,
    last_slot: meta.lastSlot,
  };
  return { ...row, row_sum: secretSum(row) };
}

export function parseSecret(row: SecretColumns): KeyedSecret {
  if (secretSum(row) !== row.row_sum || !isSecretName(row.name)) throw damaged("a secret's record");
  const enabledCount = Number(row.enabled_count);
  const disabledCount = Number(row.disabled_count);
  const destroyedCount = Number(row.destroyed_count);
  return {
    id: row.secret_id,
    meta: {
      name: row.name,
      comment: row.comment,
      // Safe to trust: the checksum covers it and only we write it.
      labels: row.labels === "{}" ? NO_LABELS : (JSON.parse(row.labels) as Labels),
      createTime: Number(row.create_time),
      updateTime: Number(row.update_time),
      revision: row.revision as Revision,
      stateRevision: row.state_revision as Revision,
      bornRevision: row.born_revision as Revision,
      slotCount: enabledCount + disabledCount + destroyedCount,
      enabledCount,
      disabledCount,
      destroyedCount,
      currentSlot: (row.current_slot ?? undefined) as SlotNumber | undefined,
      lastSlot: row.last_slot as SlotNumber,
    },
  };
}

const NO_LABELS: Labels = Object.freeze({});

export function slotColumns(secretId: bigint, row: SlotRow): Omit<SlotColumns, "row_id"> {
  const columns = {
    secret_id: secretId,
    slot: row.slot,
    state: row.state,
    create_time: BigInt(row.createTime),
    update_time: BigInt(row.updateTime),
    revision: row.revision,
    value_revision: row.valueRevision,
    version_id: row.versionId,
    size: BigInt(row.size),
  };
  return {
    ...columns,
    row_sum: slotSum(columns),
    key_id: row.record?.keyId ?? null,
    wrapped_key: row.record?.wrappedKey ?? null,
    ciphertext: row.record?.ciphertext ?? null,
  };
}

export function parseSlotMeta(row: SlotColumns): SlotMeta {
  if (slotSum(row) !== row.row_sum) throw damaged("a slot's record");
  return {
    slot: row.slot as SlotNumber,
    state: row.state as SlotState,
    createTime: Number(row.create_time),
    updateTime: Number(row.update_time),
    revision: row.revision as Revision,
    valueRevision: row.value_revision as Revision,
    versionId: row.version_id,
    size: Number(row.size),
  };
}

export function parseSlot(row: SlotColumns): SlotRow {
  const meta = parseSlotMeta(row);
  const { key_id: keyId, wrapped_key: wrappedKey, ciphertext } = row;
  if (keyId == null || wrappedKey == null || ciphertext == null) {
    if (meta.state !== "destroyed") throw damaged("a slot's sealed value");
    return { ...meta, record: undefined };
  }
  if (meta.state === "destroyed") throw damaged("a destroyed slot");
  return { ...meta, record: { keyId, wrappedKey, ciphertext } };
}
