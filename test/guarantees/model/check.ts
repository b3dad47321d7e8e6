import { eras } from "./eras.ts";
import type { Entry, Violation } from "./history.ts";
import { linearizable } from "./linearizable.ts";
import { d06 } from "./validators/d06-backup.ts";
import { reborn } from "./validators/reborn.ts";
import { rotation } from "./validators/rotation.ts";
import { s06 } from "./validators/s06-no-fault.ts";
import { w01 } from "./validators/w01-durable-before-visible.ts";
import { w02 } from "./validators/w02-snapshot-first.ts";
import { w03 } from "./validators/w03-ordered.ts";
import { w04 } from "./validators/w04-unique.ts";
import { w05 } from "./validators/w05-real-states.ts";
import { w06 } from "./validators/w06-last-value-arrives.ts";
import { w07 } from "./validators/w07-progress.ts";
import { w08 } from "./validators/w08-resume.ts";
import { w09 } from "./validators/w09-restart.ts";
import { w10 } from "./validators/w10-across-calls.ts";
import { w11 } from "./validators/w11-slots.ts";
import { w12 } from "./validators/w12-authorisation.ts";
import { w13 } from "./validators/w13-isolation.ts";
import { w14 } from "./validators/w14-client.ts";
import { linearizableWithoutRevisions } from "./wing-gong.ts";

/** Every validator, by the promise it carries; each sees one era. */
export const VALIDATORS = {
  linearizable,
  "linearizable-without-revisions": linearizableWithoutRevisions,
  reborn,
  rotation,
  D6: d06,
  S6: s06,
  W1: w01,
  W2: w02,
  W3: w03,
  W4: w04,
  W5: w05,
  W6: w06,
  W7: w07,
  W8: w08,
  W9: w09,
  W10: w10,
  W11: w11,
  W12: w12,
  W13: w13,
  W14: w14,
} as const;

/** All promises that a history breaks, in the order in which it shows. */
export function check(history: readonly Entry[]): readonly Violation[] {
  return eras(history)
    .flatMap((era) => Object.values(VALIDATORS).flatMap((validate) => validate(era)))
    .sort((a, b) => a.at - b.at);
}
