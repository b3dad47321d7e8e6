import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { checkedListenAddress, listening } from "./listen.ts";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import { openSqliteStore, pruneNowAndThen } from "./open-store.ts";
import { type RunningServer, serve } from "./serve.ts";
import { BoundSource } from "./server/connections/bound-source.ts";
import { Dispatcher } from "./server/connections/dispatcher.ts";
import { HandedSource } from "./server/connections/handed-source.ts";
import { ConcurrencyLimit } from "./server/limits.ts";
import { type Settings, StartError } from "./settings.ts";
import { processPipe } from "./storage/sqlite/process-pipe.ts";
import { WorkerCrew, type WorkerMessage } from "./worker-crew.ts";

/** Tells a worker that it is one. */
const WORKER_VARIABLE = "_SLOTS_WORKER";
/** More than the clients that come back at once to a server that was away. */
const MAX_WAITING_CONNECTIONS = 16_384;
/** So long clients of gRPC wait for a connection until they try another. */
const CONNECTION_WAIT_MS = 20_000;

/** Whether this process was started by `serveWithWorkers`. */
export function isWorker(): boolean {
  return process.send !== undefined && process.env[WORKER_VARIABLE] !== undefined;
}

export function workerCount(settings: Settings): number {
  return settings.workers === "auto" ? availableParallelism() : settings.workers;
}

/**
 * Serves with several processes on one address, for every core. This one serves nobody: it has the address and hands
 * connections to the workers, holds the store's one writer, to which they send their commits, and replaces a worker that
 * ended. While none is ready, connections wait.
 *
 * Nothing is shared but the store: a worker uses what it keeps in memory only after it asked the store where it
 * stands, so W10 and W12 hold across workers as they do across servers.
 */
export async function serveWithWorkers(settings: Settings, log: Logger): Promise<RunningServer> {
  if (settings.engine !== "sqlite") throw new StartError("--workers: the memory engine has one process");
  if (settings["metrics-listen"] !== undefined) {
    throw new StartError("--metrics-listen: is for one process; leave it out with --workers");
  }
  const source = new BoundSource(checkedListenAddress(settings), { pauseOnConnect: true });
  // Kept for the workers: reading a key from a variable takes it out of this process's environment.
  const env = { ...process.env, [WORKER_VARIABLE]: "1" };
  const { storage } = await openSqliteStore(settings, log);
  const stopPruning = pruneNowAndThen(storage, settings, log);
  const dispatcher = new Dispatcher({
    maxWaiting: MAX_WAITING_CONNECTIONS,
    waitingOfAddress: new ConcurrencyLimit({
      max: settings["max-connections-per-address"],
      reason: "TOO_MANY_CONNECTIONS",
      retryAfterMs: 0,
    }),
    waitMs: CONNECTION_WAIT_MS,
    log,
  });
  const crew = new WorkerCrew({
    count: workerCount(settings),
    fork: () => {
      // A bigint or a byte array must pass between processes as it is.
      const worker = fork(process.argv[1] ?? "", process.argv.slice(2), { env, serialization: "advanced" });
      storage.serveWrites(processPipe(worker));
      dispatcher.add(worker);
      return worker;
    },
    log,
  });
  const stop = async () => {
    source.close();
    dispatcher.close();
    await crew.stop();
    stopPruning();
    await storage.close();
  };

  try {
    await crew.start();
    const opening = source.open((socket) => dispatcher.accept(socket));
    return { address: await listening(settings, opening), reload: () => crew.reload(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One worker: a whole server whose writer and whose connections come from the process that started it. */
export async function serveAsWorker(settings: Settings, log: Logger): Promise<RunningServer> {
  process.once("disconnect", () => process.exit(0));
  const tell = (message: WorkerMessage) => process.send?.(message);
  try {
    const role = { writer: processPipe(process), connections: new HandedSource() };
    const server = await serve(settings, log, role);
    tell({ kind: "worker-ready" });
    return server;
  } catch (error) {
    tell({ kind: "worker-failed", reason: messageOf(error) ?? "unknown" });
    throw error;
  }
}
