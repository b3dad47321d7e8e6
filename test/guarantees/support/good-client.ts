import { BusyTime } from "../../support/processes.ts";
import type { ServerProcess } from "../../support/server-process.ts";
import { text, Wire } from "../../support/wire.ts";

/** For as long no input may take a thread of the server for itself (S6). */
const HANG_MS = 1000;

/** Somebody who does nothing wrong, and must notice nothing of those who do (S6). */
export class GoodClient {
  readonly #wire: Wire;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;
  calls = 0;
  slowestMs = 0;
  /** Milliseconds of processor time: the most that a thread of the server took between two answers to this client. */
  busiestMs = 0;
  readonly problems: string[] = [];
  readonly #pauseMs: number;
  readonly #time: BusyTime;

  constructor(server: Pick<ServerProcess, "address" | "adminToken" | "pid">, { pauseMs = 2 } = {}) {
    this.#pauseMs = pauseMs;
    this.#time = new BusyTime(server.pid);
    this.#wire = new Wire(server.address, server.adminToken);
    this.#work = this.#run();
  }

  /** A call that was begun after this was asked for has succeeded. */
  async next(): Promise<void> {
    const wanted = this.calls + 2;
    const end = Date.now() + 30_000;
    while (this.calls < wanted && this.problems.length === 0) {
      if (Date.now() > end) throw new Error("the good client's calls hang");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (this.problems.length > 0) throw new Error(`the good client failed: ${this.problems.join("; ")}`);
    if (this.busiestMs > HANG_MS) {
      throw new Error(`the good client waited while a thread of the server worked for ${this.busiestMs} ms`);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    this.#wire.close();
  }

  async #run(): Promise<void> {
    for (let slot = 0n; !this.#stop.signal.aborted; slot += 1n) {
      const began = performance.now();
      try {
        const value = `good ${slot}`;
        await this.#wire.put("the-good/client", slot % 50n, value, { overwrite: true });
        this.#look();
        const read = text((await this.#wire.at("the-good/client", slot % 50n)).value);
        if (read !== value) this.problems.push(`read '${read}' after '${value}'`);
        this.#look();
        this.calls += 2;
      } catch (error) {
        this.problems.push(String(error));
        return;
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  #look(): void {
    this.busiestMs = Math.max(this.busiestMs, this.#time.lap());
  }
}
