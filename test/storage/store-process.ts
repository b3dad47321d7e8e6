import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { processPipe } from "../../src/storage/sqlite/process-pipe.ts";
import type { PipeMessage } from "../../src/storage/sqlite/remote-channel.ts";
import type { SqliteStorage } from "../../src/storage/sqlite/sqlite-storage.ts";
import type { ChildAnswer, ChildOrder } from "./store-process-main.ts";

/** A store opened by another process, which does as it is told. */
export class StoreProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** With `writer`, the other process writes through that store's writer instead of its own. */
  static async start(dataDir: string, writer?: SqliteStorage): Promise<StoreProcess> {
    const script = new URL("./store-process-main.ts", import.meta.url);
    const args = writer === undefined ? [dataDir] : [dataDir, "remote"];
    const child = fork(script, args, { execArgv: [], serialization: "advanced" });
    writer?.serveWrites(processPipe(child));
    const started = new StoreProcess(child);
    if ((await started.#answer()).kind !== "ready")
      throw new Error("the other process did not open the store");
    return started;
  }

  /** Milliseconds since 1970, to the microsecond, when the put was answered in the other process. */
  async put(name: string, slot: bigint): Promise<number> {
    const answer = await this.#ask({ kind: "put", name, slot });
    if (answer.kind !== "done") throw new Error("the other process did not put");
    return answer.at;
  }

  async putMany(name: string, count: number): Promise<void> {
    await this.#ask({ kind: "put-many", name, count });
  }

  async current(name: string): Promise<bigint | undefined> {
    const answer = await this.#ask({ kind: "current", name });
    return answer.kind === "current" ? answer.slot : undefined;
  }

  /** Puts one slot after the other until it is killed; tells each that was answered. */
  putForever(name: string, onPut: (slot: bigint) => void): void {
    this.#child.on("message", (answer: ChildAnswer) => {
      if (answer.kind === "forever") onPut(answer.slot);
    });
    this.#child.send({ kind: "put-forever", name } satisfies ChildOrder);
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  async close(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.send({ kind: "close" } satisfies ChildOrder);
    await exited;
  }

  async #ask(order: ChildOrder): Promise<ChildAnswer> {
    this.#child.send(order);
    return this.#answer();
  }

  async #answer(): Promise<ChildAnswer> {
    for (;;) {
      const [message] = (await once(this.#child, "message")) as [ChildAnswer | PipeMessage];
      if (message.kind !== "store-writes" && message.kind !== "store-answers") return message;
    }
  }
}
