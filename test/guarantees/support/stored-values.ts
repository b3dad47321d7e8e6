import type { Keyring } from "../../../src/crypto/keyring.ts";
import { SlotsError } from "../../../src/domain/errors.ts";
import type { SecretName } from "../../../src/domain/names.ts";
import type { SlotNumber } from "../../../src/domain/numbers.ts";
import { connect } from "../../../src/storage/sqlite/connection.ts";
import { inspectStore } from "../../../src/storage/sqlite/inspect.ts";
import { Reader } from "../../../src/storage/sqlite/reader.ts";
import type { Contents, LedgerSlot } from "./ledger.ts";

export interface StoredSlot extends LedgerSlot {
  readonly slot: bigint;
}

/** A store that was opened as a server opens it, for reading. */
export class StoredValues {
  readonly reader: Reader;
  readonly storeId: string;
  readonly #keyring: Keyring;
  readonly #close: () => void;

  private constructor(reader: Reader, storeId: string, keyring: Keyring, close: () => void) {
    this.reader = reader;
    this.storeId = storeId;
    this.#keyring = keyring;
    this.#close = close;
  }

  /** Undefined when there is no store. Throws what a server would refuse to start with. */
  static open(dataDir: string, keyring: Keyring): StoredValues | undefined {
    const inspection = inspectStore(dataDir);
    if (inspection === undefined) return undefined;
    keyring.admit(inspection.storeId, inspection.masterKeys);
    const db = connect(inspection.file, 1000);
    try {
      return new StoredValues(new Reader(db), inspection.storeId, keyring, () => db.close());
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** All slots of a secret, each opened: also disabled ones, which no caller could read. */
  contents(name: string): Contents {
    const { slots } = this.reader.listSlots(name as SecretName, { limit: 1000, withRecords: true });
    return new Map(
      slots.map(({ slot, state, versionId, record }): [bigint, LedgerSlot] => [
        slot,
        { state, value: record === undefined ? "" : this.#value(name, slot, versionId, record) },
      ]),
    );
  }

  /** What is effective at a number: the opened value; nothing; or that it is damaged. */
  effectiveAt(name: string, at: bigint): string {
    try {
      const { slot } = this.reader.readEffectiveAt(name as SecretName, at as SlotNumber);
      if (slot?.record === undefined) return "nothing";
      return `${slot.slot}=${this.#value(name, slot.slot, slot.versionId, slot.record)}`;
    } catch (error) {
      if (error instanceof SlotsError && error.code === "DATA_LOSS") return "damaged";
      throw error;
    }
  }

  close(): void {
    this.#close();
  }

  #value(name: string, slot: bigint, versionId: Uint8Array, record: Parameters<Keyring["open"]>[1]): string {
    const place = { storeId: this.storeId, name: name as SecretName, slot: slot as SlotNumber, versionId };
    return Buffer.from(this.#keyring.open(place, record).reveal()).toString();
  }
}
