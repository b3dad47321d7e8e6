import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { NODE } from "../test/support/server-process.ts";

export interface WatchersOptions {
  readonly address: string;
  readonly path: string;
  /** The request message in base64, without its gRPC prefix. */
  readonly message: string;
  readonly token?: string;
  readonly connections: number;
  /** Streams on each connection. */
  readonly streams: number;
  /** Smaller messages are not counted, bytes. */
  readonly least: number;
  /** Leaves the client's side open: etcd takes its end for the watch's. */
  readonly bothWays?: boolean;
}

/** Many open streams in a process of their own. */
export class Watchers {
  readonly #child: ChildProcess;
  readonly #told: number[] = [];
  #waiting: PromiseWithResolvers<number> | undefined;

  private constructor(options: WatchersOptions) {
    this.#child = fork(join(import.meta.dirname, "watchers-main.ts"), {
      execPath: NODE,
      env: { ...process.env, NODE_OPTIONS: "", WATCHERS: JSON.stringify(options) },
    });
    this.#child.on("message", (time: number) => {
      if (this.#waiting === undefined) this.#told.push(time);
      else this.#waiting.resolve(time);
      this.#waiting = undefined;
    });
    this.#child.once("exit", () => this.#waiting?.reject(new Error("the watchers ended")));
  }

  /** Resolves once each stream has had its first message. */
  static async open(options: WatchersOptions): Promise<Watchers> {
    const watchers = new Watchers(options);
    await watchers.told();
    return watchers;
  }

  /** When the last of the streams had got its next message, milliseconds as `now` gives them. One call at a time. */
  told(): Promise<number> {
    const time = this.#told.shift();
    if (time !== undefined) return Promise.resolve(time);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    this.#child.disconnect();
  }
}
