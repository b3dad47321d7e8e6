import { randomBytes } from "node:crypto";
import type { Reason } from "../../domain/errors.ts";
import type { WriteRequest, WriterStats } from "./commit-channel.ts";
import { assertDurable, type Connection, type Statement } from "./connection.ts";
import { mutate } from "./mutate.ts";
import { failsGroup, isFailedFlush, toSlotsError } from "./sqlite-errors.ts";
import { WriterTables } from "./writer-tables.ts";

/** A SlotsError as data. The cause stays with the writer. */
export interface WriteFailure {
  readonly reason: Reason;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

export type WriteAnswer =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly failure: WriteFailure };

export interface GroupOutcome {
  /** One for each request, in order. */
  readonly answers: readonly WriteAnswer[];
  /** Whether readers have something new to see. */
  readonly committed: boolean;
  /** Whether sealed values were removed that may still be in the WAL. */
  readonly erased: boolean;
}

interface Executed {
  readonly output: unknown;
  readonly wrote: boolean;
  readonly visible?: boolean;
  readonly erased?: boolean;
}

const PRUNE_ROWS = 5000;

/**
 * Group commit: what waits together is written in one transaction, each write in a savepoint of its own, and
 * flushed once. Nobody has an answer before the flush (D1, W1), and a write that fails leaves nothing (D2).
 */
export class GroupWriter {
  readonly #db: Connection;
  readonly #tables: WriterTables;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #savepoint: Statement;
  readonly #release: Statement;
  readonly #undo: Statement;
  #asserted = false;
  #stats = { writes: 0, commits: 0, flushes: 0, largestGroup: 0 };

  constructor(db: Connection) {
    this.#db = db;
    this.#tables = new WriterTables(db);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    this.#savepoint = db.prepare("SAVEPOINT one");
    this.#release = db.prepare("RELEASE one");
    this.#undo = db.prepare("ROLLBACK TO one");
  }

  get stats(): WriterStats {
    return { ...this.#stats };
  }

  /** Throws only when a flush failed, or when the store turns out not to be durable: the process must end (D5). */
  run(requests: readonly WriteRequest[]): GroupOutcome {
    const executed: (Executed | undefined)[] = [];
    const answers: WriteAnswer[] = [];
    try {
      this.#begin.run();
      for (const request of requests) {
        const [answer, done] = this.#runOne(request);
        answers.push(answer);
        executed.push(done);
      }
      this.#commit.run();
    } catch (error) {
      if (isFailedFlush(error)) throw error;
      if (this.#db.inTransaction) this.#rollback.run();
      const failure = failureOf(error);
      return { answers: requests.map(() => ({ ok: false, failure })), committed: false, erased: false };
    }
    this.#count(executed);
    return {
      answers,
      committed: executed.some((one) => one?.visible === true),
      erased: executed.some((one) => one?.erased === true),
    };
  }

  #runOne(request: WriteRequest): [WriteAnswer, Executed | undefined] {
    this.#savepoint.run();
    try {
      const done = this.#execute(request);
      this.#release.run();
      return [{ ok: true, output: done.output }, done];
    } catch (error) {
      if (failsGroup(error)) throw error;
      this.#undo.run();
      this.#release.run();
      return [{ ok: false, failure: failureOf(error) }, undefined];
    }
  }

  #execute(request: WriteRequest): Executed {
    const tables = this.#tables;
    switch (request.kind) {
      case "commit": {
        const outcome = mutate(tables, request.input);
        const committed = outcome.kind === "committed";
        const kept = outcome.kind === "unchanged" && request.input.request !== undefined;
        return {
          output: outcome,
          wrote: committed || kept,
          visible: committed,
          erased: committed && mayErase(request.input.mutation),
        };
      }
      case "rewrap": {
        const count = request.input.filter(
          (item) => tables.mayWrap(item.keyId) && tables.rewrap(item),
        ).length;
        return { output: count, wrote: count > 0 };
      }
      case "put-store-keys":
        for (const record of request.input) if (tables.mayWrap(record.keyId)) tables.saveStoreKey(record);
        return { output: undefined, wrote: true };
      case "add-store-keys":
        for (const record of request.input) if (tables.mayWrap(record.keyId)) tables.addStoreKey(record);
        return { output: undefined, wrote: true };
      case "add-master-keys":
        for (const record of request.input) tables.addMasterKey(record);
        return { output: undefined, wrote: true };
      case "put-audit-anchors":
        for (const anchor of request.input) tables.saveAnchor(anchor);
        return { output: undefined, wrote: true };
      case "prune": {
        const { changesBefore, now } = request.input;
        return { output: tables.prune(changesBefore, now, PRUNE_ROWS), wrote: true };
      }
      case "new-epoch": {
        const epoch = randomBytes(16).toString("hex");
        tables.saveHead({ ...tables.head(), epoch });
        return { output: epoch, wrote: true, visible: true };
      }
      default:
        return request satisfies never;
    }
  }

  #count(executed: readonly (Executed | undefined)[]): void {
    const wrote = executed.some((one) => one?.wrote === true);
    if (wrote && !this.#asserted) {
      assertDurable(this.#db);
      this.#asserted = true;
    }
    const { writes, commits, flushes, largestGroup } = this.#stats;
    this.#stats = {
      writes: writes + executed.length,
      commits: commits + executed.filter((one) => one?.visible === true).length,
      flushes: flushes + (wrote ? 1 : 0),
      largestGroup: Math.max(largestGroup, executed.length),
    };
  }
}

function mayErase(mutation: Extract<WriteRequest, { kind: "commit" }>["input"]["mutation"]): boolean {
  switch (mutation.kind) {
    case "set-slot-state":
      return mutation.state === "destroyed";
    case "put-slot":
      return mutation.replaces !== undefined;
    default:
      return mutation.kind === "delete-secret";
  }
}

export function failureOf(error: unknown): WriteFailure {
  const { reason, message, retryAfterMs } = toSlotsError(error);
  return { reason, message, retryAfterMs };
}
