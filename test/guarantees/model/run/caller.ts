import { WireError } from "../../../support/wire.ts";
import { perform } from "../calls.ts";
import { brokeOff } from "../ended-how.ts";
import type { Answer, Op } from "../model.ts";
import type { Context } from "./context.ts";

/** Makes calls until they are answered, and records them. */
export class Caller {
  readonly #context: Context;
  /** Changes that broke off and were refused when asked again, with when they broke off. */
  readonly #inDoubt = new Map<Op, { readonly client: number; readonly name: string; readonly at: number }>();
  readonly #revisions = new Map<string, bigint[]>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** The revisions that calls on a secret were answered with, in the order of the answers. */
  revisions(name: string): readonly bigint[] {
    return this.#revisions.get(name) ?? [];
  }

  /**
   * A call until it is answered: what breaks off is asked again, of the next server. A change may still be under way
   * at the server that was cut off, and happen after another has refused it: a later success is then of that time.
   */
  async call(client: number, name: string, op: Op, server: number): Promise<void> {
    const { world, recorder, faulty } = this.#context;
    let start = recorder.tick();
    let brokeAt: number | undefined;
    const end = Date.now() + 60_000;
    for (let attempt = 0; ; attempt++) {
      const token = world.token(client);
      let outcome: { readonly answer: Answer; readonly epoch?: string };
      try {
        outcome = await perform(world.wire(client, server + attempt), name, op);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        const busy = error.reason === "STORE_BUSY";
        if (brokeOff(error) && (faulty || busy) && Date.now() < end) {
          brokeAt ??= recorder.tick();
          await new Promise((resolve) => setTimeout(resolve, 10));
          // A read that broke off saw nothing, so its second try is another read.
          if (!("id" in op)) start = recorder.tick();
          continue;
        }
        outcome = { answer: { code: error.code, reason: error.reason } };
      }
      const succeeded = outcome.answer.code === "OK";
      recorder.add({
        type: "call",
        start: (succeeded ? this.#inDoubt.get(op)?.at : undefined) ?? start,
        end: recorder.tick(),
        name,
        client,
        token,
        op,
        ...outcome,
      });
      if (succeeded) this.#inDoubt.delete(op);
      else if ("id" in op && brokeAt !== undefined) this.#inDoubt.set(op, { client, name, at: brokeAt });
      const { revision } = outcome.answer as { revision?: unknown };
      if (typeof revision === "bigint") this.#revisions.set(name, [...this.revisions(name), revision]);
      return;
    }
  }

  /** Asks once more for every change that is in doubt. */
  async askInDoubt(): Promise<void> {
    for (const [op, { client, name }] of [...this.#inDoubt]) await this.call(client, name, op, 0);
  }

  /** After a restore, for which none of that has happened. */
  forget(): void {
    this.#inDoubt.clear();
    this.#revisions.clear();
  }
}
