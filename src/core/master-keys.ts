import { SlotsError } from "../domain/errors.ts";
import type { Revision } from "../domain/numbers.ts";
import type { RewrapItem } from "../storage/records.ts";
import type { Call } from "./call.ts";
import { Change } from "./change.ts";
import type { Core } from "./core.ts";
import { recorded, subjectOfId } from "./recorded.ts";

export interface ListedKey {
  readonly keyId: string;
  readonly primary: boolean;
  readonly loaded: boolean;
  readonly wrappedCount: bigint;
  /** Unix milliseconds. */
  readonly createTime: number;
}

export interface RotationStep {
  readonly keyId: string;
  readonly doneCount: bigint;
  readonly totalCount: bigint;
  readonly complete: boolean;
}

/** One flush each. */
const REWRAPPED_A_BATCH = 256;
/** In between, whoever waits gets its turn: rewrapping so many takes about a millisecond. */
const REWRAPPED_A_TURN = 32;

/** The master keys: which there are, the change from one to another, and the end of one. */
export class KeyManager {
  readonly #core: Core;
  #rotating = false;

  constructor(core: Core) {
    this.#core = core;
  }

  list(call: Call): Promise<readonly ListedKey[]> {
    const { storage, keyring, authorizer, opened, audit } = this.#core;
    return recorded(this.#core, call, {}, async () => {
      authorizer.require(opened.sync(), call);
      const keys: ListedKey[] = [];
      for (const { keyId, primary, createTime } of storage.masterKeys()) {
        const wrappedCount = await storage.countWrappedBy(keyId);
        keys.push({ keyId, primary, loaded: keyring.has(keyId), wrappedCount, createTime });
      }
      await audit.listed(call);
      return keys;
    });
  }

  /**
   * Makes a loaded key the primary, then rewraps whatever another key wraps, a batch at a time; no value is read
   * and no read waits. A rotation that was cut goes on where it stood when it is asked for again: what is left
   * to do is in the store, not in this process.
   */
  async *rotate(call: Call, keyId: string): AsyncGenerator<RotationStep, void, void> {
    const core = this.#core;
    const primaryId = await recorded(core, call, subjectOfId(keyId), async () => {
      core.authorizer.require(core.opened.sync(), call);
      if (this.#rotating) {
        throw new SlotsError("STORE_BUSY", "a rotation of the master key is under way", {
          retryAfterMs: 5000,
        });
      }
      return this.#makePrimary(call, keyId);
    });
    this.#rotating = true;
    try {
      const others = core.storage.masterKeys().filter((key) => key.keyId !== primaryId);
      let total = 0n;
      for (const key of others) total += await core.storage.countWrappedBy(key.keyId);
      yield { keyId: primaryId, doneCount: 0n, totalCount: total, complete: false };
      await this.#rewrapStoreKeys(primaryId);
      let done = 0n;
      for (const key of others.filter((other) => core.keyring.has(other.keyId))) {
        for await (const rewrapped of this.#rewrapAll(call, key.keyId)) {
          done += BigInt(rewrapped);
          yield { keyId: primaryId, doneCount: done, totalCount: total, complete: false };
        }
      }
      yield { keyId: primaryId, doneCount: done, totalCount: total, complete: true };
    } finally {
      this.#rotating = false;
    }
  }

  retire(call: Call, keyId: string): Promise<{ readonly revision: Revision }> {
    const core = this.#core;
    return recorded(core, call, subjectOfId(keyId), async () => {
      core.authorizer.require(core.opened.sync(), call);
      const result = await new Change(core, call).commitDecided(
        { kind: "retire-master-key", keyId },
        subjectOfId(keyId),
      );
      return { revision: result.revision };
    });
  }

  async #makePrimary(call: Call, wanted: string): Promise<string> {
    const { keyring, storage, now } = this.#core;
    const { storeId } = storage.identity;
    const today = storage.masterKeys().find((key) => key.primary)?.keyId;
    const others = keyring.keyIds.filter((id) => id !== today);
    const keyId = wanted === "" ? (others.length === 1 ? others[0] : undefined) : wanted;
    if (keyId === undefined) {
      throw new SlotsError(
        "KEY_NOT_LOADED",
        others.length === 0
          ? "no other master key is loaded; add one to the key file and restart, then rotate"
          : "several other master keys are loaded; name the one that is to be the primary",
      );
    }
    if (!keyring.has(keyId)) {
      throw new SlotsError(
        "KEY_NOT_LOADED",
        "that master key is not loaded; add it to the key file and restart",
      );
    }
    if (keyId !== today) {
      // The store first: nothing is sealed by a key that the store does not know.
      const key = keyring.masterKeyRecord(storeId, keyId, now());
      await new Change(this.#core, call).commitDecided({ kind: "set-primary-key", key }, { subject: keyId });
    } else {
      await this.#core.audit.listed(call);
    }
    keyring.setPrimary(keyId);
    return keyId;
  }

  async #rewrapStoreKeys(primaryId: string): Promise<void> {
    const { keyring, storage } = this.#core;
    const { storeId } = storage.identity;
    const old = storage.storeKeys().filter((record) => record.keyId !== primaryId);
    await storage.putStoreKeys(old.map((record) => keyring.rewrapStoreKey(storeId, record)));
  }

  async *#rewrapAll(call: Call, keyId: string): AsyncGenerator<number, void, void> {
    const { keyring, storage } = this.#core;
    const { storeId } = storage.identity;
    for (let after: string | undefined; ; ) {
      call.signal.throwIfAborted();
      const page = storage.listWrappedBy(keyId, after, REWRAPPED_A_BATCH);
      const items: RewrapItem[] = [];
      for (const [index, row] of page.rows.entries()) {
        if (index % REWRAPPED_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
        const { name, slot, versionId } = row;
        try {
          items.push({ name, slot, versionId, ...keyring.rewrap({ storeId, name, slot, versionId }, row) });
        } catch (error) {
          // A damaged record stays as it is and keeps its key from being retired; the others go on.
          if (!(error instanceof SlotsError && error.code === "DATA_LOSS")) throw error;
        }
      }
      yield await storage.rewrap(items);
      if (page.next === undefined) return;
      after = page.next;
    }
  }
}
