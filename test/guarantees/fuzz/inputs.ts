import type { DescMethod } from "@bufbuild/protobuf";
import { Random } from "../support/random.ts";
import { damage } from "./damage.ts";
import { anyMessage, type Known } from "./messages.ts";

/** Messages that are made whole; every input is one of them, or what became of it. */
const MADE = 100;
const RANDOM_BYTES = 0.05;
const WHOLE = 0.45;

/** Inputs for one RPC, the same for the same seed and store: messages that decode, damaged ones, random bytes. */
export function* inputsFor(method: DescMethod, known: Known, seed: number): Generator<Buffer, never, void> {
  const random = new Random(seed);
  const made = Array.from({ length: MADE }, () => anyMessage(method, known, random));
  for (;;) {
    const kind = random.next();
    if (kind < RANDOM_BYTES) {
      yield random.bytes(random.below(200));
      continue;
    }
    let bytes = random.pick(made);
    if (kind > RANDOM_BYTES + WHOLE) {
      for (let edits = 1 + random.below(3); edits > 0; edits -= 1)
        bytes = damage(bytes, random.pick(made), random);
    }
    yield bytes;
  }
}
