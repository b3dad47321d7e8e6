// Prints how fast handles are read and what a read allocates: `npm run bench` in clients/typescript.
import { fakeSecrets, type SecretHandle } from "../src/index.ts";

const READS = 50_000_000;

const secrets = fakeSecrets({ s: { "0": "a", "1700000000": "b", "1800000000": "c" } });
const handle = secrets.handle("s");
const t = 1_750_000_000n;

const reads: Readonly<Record<string, (one: SecretHandle) => unknown>> = {
  "current()": (one) => one.current(),
  "effectiveAt(number)": (one) => one.effectiveAt(1_750_000_000),
  "effectiveAt(bigint)": (one) => one.effectiveAt(t),
};

for (const [title, read] of Object.entries(reads)) {
  run(read, READS / 10);
  const heap = process.memoryUsage().heapUsed;
  const start = performance.now();
  run(read, READS);
  const seconds = (performance.now() - start) / 1000;
  const bytes = Math.max(0, process.memoryUsage().heapUsed - heap) / READS;
  const millions = (READS / seconds / 1e6).toFixed(0);
  const ns = ((seconds * 1e9) / READS).toFixed(1);
  console.log(
    `${title.padEnd(20)} ${millions.padStart(5)} million/s  ${ns.padStart(5)} ns  ${bytes.toFixed(3)} bytes a read`,
  );
}

function run(read: (one: SecretHandle) => unknown, count: number): void {
  let last: unknown;
  for (let i = 0; i < count; i++) last = read(handle);
  if (last === undefined) throw new Error("nothing was read");
}
