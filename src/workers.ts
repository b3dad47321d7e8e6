import cluster, { type Worker } from "node:cluster";
import { availableParallelism } from "node:os";
import type { Logger } from "./log.ts";
import { messageOf } from "./message-of.ts";
import { openSqliteStore, pruneNowAndThen } from "./open-store.ts";
import { type RunningServer, serve } from "./serve.ts";
import { parseListenAddress, removeStaleSocket } from "./server/listener.ts";
import { type Settings, StartError } from "./settings.ts";
import { processPipe } from "./storage/sqlite/process-pipe.ts";

/** What a worker tells the process that started it. */
type WorkerMessage =
  | { readonly kind: "worker-ready"; readonly address: string }
  | { readonly kind: "worker-failed"; readonly reason: string };

const RESTART_AFTER_MS = 1000;
const STOP_MS = 5_000;

export function workerCount(settings: Settings): number {
  return settings.workers === "auto" ? availableParallelism() : settings.workers;
}

/**
 * Serves with several processes on one address, for every core. This one serves nobody: it holds the store's one
 * writer, to which the workers send their commits, and it starts a worker that died again.
 *
 * Nothing is shared but the store: a worker uses what it keeps in memory only after it asked the store where it
 * stands, so W10 and W12 hold across workers as they do across servers.
 */
export async function serveWithWorkers(settings: Settings, log: Logger): Promise<RunningServer> {
  if (settings.engine !== "sqlite") throw new StartError("--workers: the memory engine has one process");
  if (settings["metrics-listen"] !== undefined) {
    throw new StartError("--metrics-listen: is for one process; leave it out with --workers");
  }
  const listen = parseListenAddress(settings.listen);
  if (listen?.kind === "unix") await removeStaleSocket(listen.path);
  // Kept for the workers: reading a key from a variable takes it out of this process's environment.
  const environment = { ...process.env };
  const { storage } = await openSqliteStore(settings, log);
  const stopPruning = pruneNowAndThen(storage, settings, log);
  // A bigint or a byte array must pass between processes as it is.
  cluster.setupPrimary({ serialization: "advanced" });

  const count = workerCount(settings);
  const running = new Set<Worker>();
  let stopping = false;
  const startOne = (): Promise<string> => {
    const worker = cluster.fork(environment);
    running.add(worker);
    storage.serveWrites(processPipe(worker.process));
    return new Promise((resolve, reject) => {
      let ready = false;
      worker.process.on("message", (message: WorkerMessage) => {
        if (message.kind === "worker-ready") {
          ready = true;
          resolve(message.address);
        } else if (message.kind === "worker-failed") {
          reject(new StartError(message.reason));
        }
      });
      worker.once("exit", (code, signal) => {
        running.delete(worker);
        reject(new StartError(`a worker ended with ${signal ?? code} before it was ready`));
        if (stopping || !ready) return;
        log.error({ pid: worker.process.pid, code, signal }, "a worker ended; another one is started");
        setTimeout(() => {
          if (!stopping)
            startOne().catch((error: unknown) => log.error({ cause: messageOf(error) }, "worker"));
        }, RESTART_AFTER_MS);
      });
    });
  };

  const stopAll = async () => {
    stopping = true;
    const ended = [...running].map(
      (worker) => new Promise<void>((resolve) => worker.once("exit", () => resolve())),
    );
    for (const worker of running) worker.process.kill("SIGTERM");
    const late = setTimeout(() => {
      for (const worker of running) worker.process.kill("SIGKILL");
    }, STOP_MS);
    await Promise.all(ended);
    clearTimeout(late);
    stopPruning();
    await storage.close();
  };

  try {
    const [address = ""] = await Promise.all(Array.from({ length: count }, startOne));
    return {
      address,
      reload: () => {
        for (const worker of running) worker.process.kill("SIGHUP");
      },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** One worker: a whole server whose writer is in the process that started it. */
export async function serveAsWorker(settings: Settings, log: Logger): Promise<RunningServer> {
  const tell = (message: WorkerMessage) => process.send?.(message);
  try {
    const server = await serve(settings, log, { writer: processPipe(process) });
    tell({ kind: "worker-ready", address: server.address });
    return server;
  } catch (error) {
    tell({ kind: "worker-failed", reason: messageOf(error) ?? "unknown" });
    throw error;
  }
}
