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
  return new Promise((resolve, reject) => new Run(steps, subscription, send, resolve, reject).go());
}

class Run<M> {
  readonly #steps: Steps<M>;
  readonly #subscription: Subscription;
  readonly #send: Send<M>;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  /** Set while `go` runs: what calls back at once must not start it a second time. */
  #going = false;
  #isBack = false;
  #given: Head | undefined;
  #thrown: { readonly error: unknown } | undefined;

  constructor(
    steps: Steps<M>,
    subscription: Subscription,
    send: Send<M>,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#steps = steps;
    this.#subscription = subscription;
    this.#send = send;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  go(): void {
    this.#going = true;
    try {
      do {
        this.#isBack = false;
        const next = this.#next();
        if (next.done === true) {
          this.#resolve();
          return;
        }
        const step = next.value;
        if ("message" in step) this.#send(step.message, this.#done);
        else if ("atMostMs" in step) this.#subscription.onWake(step.atMostMs, this.#back);
        else step.settled.then(this.#done, this.#failed);
      } while (this.#isBack);
    } catch (error) {
      this.#reject(error);
    } finally {
      this.#going = false;
    }
  }

  #next(): IteratorResult<Step<M>, void> {
    const thrown = this.#thrown;
    if (thrown === undefined) return this.#steps.next(this.#given);
    this.#thrown = undefined;
    return this.#steps.throw(thrown.error);
  }

  readonly #back = (head: Head | undefined): void => {
    this.#given = head;
    this.#isBack = true;
    if (!this.#going) this.go();
  };
  readonly #done = () => this.#back(undefined);
  readonly #failed = (error: unknown) => {
    this.#thrown = { error };
    this.#back(undefined);
  };
}
