import { readFileSync } from "node:fs";
import type { ServerProcess } from "../../support/server-process.ts";
import { text, Wire } from "../../support/wire.ts";

/** Somebody who does nothing wrong, and must notice nothing of those who do (S6). */
export class GoodClient {
  readonly #wire: Wire;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;
  calls = 0;
  slowestMs = 0;
  readonly problems: string[] = [];
  readonly #pauseMs: number;

  constructor(server: Pick<ServerProcess, "address" | "adminToken">, { pauseMs = 2 } = {}) {
    this.#pauseMs = pauseMs;
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
        const read = text((await this.#wire.at("the-good/client", slot % 50n)).value);
        if (read !== value) this.problems.push(`read '${read}' after '${value}'`);
        this.calls += 2;
      } catch (error) {
        this.problems.push(String(error));
        return;
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }
}

/** Bytes of memory that a server and its workers hold. */
export function memoryOf(server: ServerProcess): number {
  return treeOf(server.child.pid ?? 0).reduce((sum, pid) => sum + residentBytes(pid), 0);
}

function treeOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  return [pid, ...children.filter((each) => each !== "").flatMap((each) => treeOf(Number(each)))];
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}
