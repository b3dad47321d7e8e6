import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeLargeStore } from "./large-store.ts";

const { values } = parseArgs({
  options: {
    secrets: { type: "string", default: "1000000" },
    slots: { type: "string", default: "5" },
    "data-dir": { type: "string" },
  },
});
const [secrets, slots] = [Number(values.secrets), Number(values.slots)];
const dataDir = values["data-dir"];
if (dataDir === undefined || !(secrets > 0) || !(slots > 0)) {
  console.error("usage: node bench/generate.ts --data-dir DIR [--secrets N] [--slots N]");
  process.exit(2);
}

const began = performance.now();
let shown = 0;
await makeLargeStore({
  dataDir: resolve(dataDir),
  secrets,
  slots,
  onProgress: (done, total) => {
    const now = performance.now();
    if (done < total && now - shown < 1000) return;
    shown = now;
    const rate = Math.round(done / ((now - began) / 1000)).toLocaleString("en");
    process.stderr.write(
      `\r${done.toLocaleString("en")} of ${total.toLocaleString("en")} slots, ${rate} a second `,
    );
  },
});
process.stderr.write(`\n${dataDir}: ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
