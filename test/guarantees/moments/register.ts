import { writeSync } from "node:fs";
import { editSources } from "../support/edited-sources.ts";
import { MIGRATION, MOMENTS, REACHED } from "./moments.ts";

/**
 * Preloaded into a program of ours (`node --import`), and into its threads: kills it when it comes to the moment that
 * SLOTS_TEST_MOMENT names, for the SLOTS_TEST_MOMENT_NTH time. With SLOTS_TEST_MIGRATION the program has one schema
 * version more.
 */
const { SLOTS_TEST_MOMENT: name, SLOTS_TEST_MOMENT_NTH: nth = "1", SLOTS_TEST_MIGRATION } = process.env;
const edits = SLOTS_TEST_MIGRATION === undefined ? [] : [MIGRATION];
if (name !== undefined) {
  const moment = MOMENTS.find((each) => each.name === name);
  if (moment === undefined) throw new Error(`SLOTS_TEST_MOMENT: there is no moment '${name}'`);
  edits.push(moment.edit);
}
editSources(name ?? "migration", edits);

let left = Number(nth);
Object.assign(globalThis, {
  slotsMoment: (last?: () => void) => {
    left -= 1;
    if (left !== 0) return;
    last?.();
    writeSync(2, REACHED);
    process.kill(process.pid, "SIGKILL");
  },
});
