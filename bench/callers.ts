import type { Wire } from "../test/support/wire.ts";
import { percentile } from "./statistics.ts";

const VALUE = Buffer.alloc(100, "v");
const SECRETS = 1000;

/** Callers that each wait for the answer to a put before they put again, each time a new slot. */
export class Callers {
  readonly #wires: readonly Wire[];
  readonly #value: Uint8Array;
  readonly #prefix: string;
  #next = 0;

  constructor(wires: readonly Wire[], prefix: string, value: Uint8Array = VALUE) {
    this.#wires = wires;
    this.#prefix = prefix;
    this.#value = value;
  }

  /** So many of them at once, for so long. */
  async put(count: number, seconds: number): Promise<{ readonly rate: number; readonly took: number[] }> {
    const began = performance.now();
    const end = began + seconds * 1000;
    const took: number[] = [];
    const caller = async (wire: Wire) => {
      while (performance.now() < end) {
        const number = this.#next++;
        const asked = performance.now();
        await wire.put(
          `${this.#prefix}/${number % SECRETS}`,
          BigInt(Math.floor(number / SECRETS)),
          this.#value,
        );
        took.push(performance.now() - asked);
      }
    };
    const wires = this.#wires;
    await Promise.all(
      Array.from({ length: count }, (_, index) => caller(wires[index % wires.length] as Wire)),
    );
    return { rate: took.length / ((performance.now() - began) / 1000), took };
  }
}

/** Each how long calls took that are made at fixed times until `meanwhile` is over, whether or not those before are
 * answered: a server that stands still is seen by all the calls that it keeps waiting. Milliseconds, in order of asking. */
export async function callsAtFixedTimes(
  everyMs: number,
  call: () => Promise<unknown>,
  meanwhile: () => Promise<unknown>,
  onAnswer: (took: number) => void = () => {},
): Promise<number[]> {
  const times: number[] = [];
  const running = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const began = performance.now();
    const done: Promise<void> = call().then(() => {
      const took = performance.now() - began;
      times.push(took);
      onAnswer(took);
      running.delete(done);
    });
    running.add(done);
  }, everyMs);
  await meanwhile();
  clearInterval(timer);
  await Promise.all(running);
  return times;
}

export const p99 = (times: readonly number[]) => percentile(times, 0.99);
