import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { ChildAnswer, ChildOrder } from "./store-process-main.ts";

/** A store opened by another process, which does as it is told. */
export class StoreProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(dataDir: string): Promise<StoreProcess> {
    const script = new URL("./store-process-main.ts", import.meta.url);
    const child = fork(script, [dataDir], { execArgv: [], serialization: "advanced" });
    const [ready] = (await once(child, "message")) as [ChildAnswer];
    if (ready.kind !== "ready") throw new Error("the other process did not open the store");
    return new StoreProcess(child);
  }

  /** Milliseconds since 1970, to the microsecond, when the put was answered in the other process. */
  async put(name: string, slot: bigint): Promise<number> {
    const answer = await this.#ask({ kind: "put", name, slot });
    if (answer.kind !== "done") throw new Error("the other process did not put");
    return answer.at;
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
    const [answer] = (await once(this.#child, "message")) as [ChildAnswer];
    return answer;
  }
}
