import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { editSources } from "../../guarantees/support/edited-sources.ts";
import { PAUSES, type Pause } from "./pauses.ts";

/**
 * Preloaded into a test server (`node --import`): when it comes to the place that SLOTS_TEST_PAUSE names and the file
 * `armed` is in the folder SLOTS_TEST_PAUSE_IN, it makes `reached` there and stands still until there is `go`. Once.
 */
const { SLOTS_TEST_PAUSE: name = "", SLOTS_TEST_PAUSE_IN: folder = "" } = process.env;
const MOST_LOOKS = 2_000;
const LOOK_MS = 10;

editSources(name, [PAUSES[name as Pause]]);

const sleeper = new Int32Array(new SharedArrayBuffer(4));
let paused = false;
Object.assign(globalThis, {
  slotsPause: () => {
    if (paused || !existsSync(join(folder, "armed"))) return;
    paused = true;
    writeFileSync(join(folder, "reached"), "");
    for (let looks = 0; !existsSync(join(folder, "go")) && looks < MOST_LOOKS; looks++)
      Atomics.wait(sleeper, 0, 0, LOOK_MS);
  },
});
