import { closeSync, futimesSync, openSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { Checkpointer } from "./checkpointer.ts";
import { type Connection, connect } from "./connection.ts";
import { watchIdentity } from "./files.ts";
import { GroupWriter } from "./group-writer.ts";
import { sqliteCode } from "./sqlite-errors.ts";
import type { FromWriter, ToWriter, WriterThreadData } from "./thread-messages.ts";
import type { NumberedRequest } from "./write-queue.ts";

/** Bounds one transaction, and with it how long the first of a group waits for the last. */
const MAX_GROUP = 512;

const { file, bellFile, busyTimeoutMs, port } = workerData as WriterThreadData;

function post(message: FromWriter): void {
  port.postMessage(message);
}

function serve(db: Connection): void {
  const writer = new GroupWriter(db);
  const bell = openSync(bellFile, "r+");
  const checkpointer = new Checkpointer(db, {
    busyTimeoutMs,
    onEvent: (event) => post({ kind: "event", event }),
    onFatal: fail,
  });
  const waiting: NumberedRequest[] = [];
  let scheduled = false;
  let closing = false;
  let failed = false;
  let findMissing: (() => string | undefined) | undefined;

  function fail(error: unknown): void {
    failed = true;
    const code = sqliteCode(error);
    post({ kind: "fatal", reason: code ?? (error instanceof Error ? error.message : "unknown") });
  }

  function take(message: ToWriter): void {
    switch (message.kind) {
      case "writes":
        waiting.push(...(deserialize(message.bytes) as NumberedRequest[]));
        return;
      case "close":
        closing = true;
        return;
      default:
        message satisfies never;
    }
  }

  /** Everything that arrived while the last group was being flushed becomes the next one. */
  function nextGroup(): readonly NumberedRequest[] {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      take(next.message as ToWriter);
    }
    return waiting.splice(0, MAX_GROUP);
  }

  function runGroup(group: readonly NumberedRequest[]): void {
    const outcome = writer.run(group.map(({ request }) => request));
    const { committed } = outcome;
    // The first group opened the WAL, if nothing had; from then on the files must stay what they are (D1).
    findMissing ??= watchIdentity([file, `${file}-wal`, `${file}-shm`]);
    const missing = findMissing();
    if (missing !== undefined) throw new Error(`${missing} was removed or replaced`);
    const bytes = serialize(group.map(({ id }, index) => ({ id, answer: outcome.answers[index] })));
    post({ kind: "answers", bytes, committed, stats: writer.stats });
    if (committed) ring(bell);
    checkpointer.afterGroup(outcome.erased);
  }

  function stop(): void {
    checkpointer.close();
    if (failed) return;
    db.close();
    closeSync(bell);
    // The other side closes the port, and with it this thread: it can't mistake this for a crash.
    post({ kind: "closed" });
  }

  /** One group a turn, so that the timers of checkpoints get theirs under any load. */
  function turn(): void {
    scheduled = false;
    if (failed) return;
    try {
      const group = nextGroup();
      if (group.length > 0) runGroup(group);
      else if (closing) stop();
      if (group.length > 0) schedule();
    } catch (error) {
      // Whatever it is: who waits for this group must never be told that all is well (D5).
      fail(error);
    }
  }

  function schedule(): void {
    if (!scheduled) setImmediate(turn);
    scheduled = true;
  }

  port.on("message", (message: ToWriter) => {
    take(message);
    schedule();
  });
  post({ kind: "ready" });
  // A process that was killed may have left destroyed values in the WAL.
  checkpointer.eraseLeftovers();
}

/** Wakes the other processes. It only wakes: a ring that is lost is made up for by their poll. */
function ring(bell: number): void {
  try {
    const now = new Date();
    futimesSync(bell, now, now);
  } catch {}
}

try {
  serve(connect(file, busyTimeoutMs));
} catch (error) {
  post({
    kind: "not-opened",
    message: error instanceof Error ? error.message : "unknown",
    code: sqliteCode(error),
  });
  port.close();
}
