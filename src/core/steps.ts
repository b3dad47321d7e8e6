import type { Head } from "../storage/records.ts";
import type { Subscription } from "./bell.ts";
import type { Send } from "./call.ts";

/** What a stream does before it goes on. */
export type Step<M> =
  /** Goes on once the transport has the message. */
  | { readonly message: M }
  /** Goes on at a ring, after about so many milliseconds, or at the abort; with where the store stood, if that is known. */
  | { readonly atMostMs: number }
  /** Goes on once it is settled: a rejection is thrown where the step was yielded. */
  | { readonly settled: Promise<void> };

export type Steps<M> = Generator<Step<M>, void, Head | undefined>;

/**
 * Runs a stream to its end. An async function would do the same with a few promises for each wait; of ten thousand
 * streams that are told of a rotation and wait anew, those are what the collector of young objects has to move, and
 * every other call waits for that. Here a stream that waits holds nothing that was made for the wait.
 */
export function runSteps<M>(steps: Steps<M>, subscription: Subscription, send: Send<M>): Promise<void> {
  return new Promise((resolve, reject) => {
    /** Set while `go` runs: what calls back at once must not start it a second time. */
    let going = false;
    let isBack = false;
    let given: Head | undefined;
    let thrown: { readonly error: unknown } | undefined;

    const back = (head?: Head): void => {
      given = head;
      isBack = true;
      if (!going) go();
    };
    const taken = () => back();
    const failed = (error: unknown) => {
      thrown = { error };
      back();
    };
    const go = (): void => {
      going = true;
      try {
        do {
          isBack = false;
          const next = proceed();
          if (next.done === true) {
            resolve();
            return;
          }
          const step = next.value;
          if ("message" in step) send(step.message, taken);
          else if ("atMostMs" in step) subscription.onWake(step.atMostMs, back);
          else step.settled.then(taken, failed);
        } while (isBack);
      } catch (error) {
        reject(error);
      } finally {
        going = false;
      }
    };
    const proceed = () => {
      if (thrown === undefined) return steps.next(given);
      const { error } = thrown;
      thrown = undefined;
      return steps.throw(error);
    };
    go();
  });
}
