import type { DriverProcess } from "./driver-process.ts";

/** Prints nanoseconds per read of a handle; figures, no assertion. */
export async function benchmark(drivers: readonly DriverProcess[]): Promise<void> {
  const secrets = { "bench/key": { "0": "b2xk", "1700000000": "bmV3" } };
  console.log("\nreading a handle   current()    effective_at()   nanoseconds per call");
  for (const driver of drivers) {
    await driver.ask("fakeOpen", { set: "bench", secrets }, 60_000);
    const answer = await driver.ask("bench", { set: "bench", name: "bench/key", ms: "500" }, 60_000);
    await driver.ask("closeSet", { set: "bench" }, 60_000);
    const [current, effectiveAt] = [answer.currentNs, answer.effectiveAtNs].map((ns) =>
      String(ns).padEnd(10),
    );
    console.log(`${driver.title.padEnd(18)} ${current}   ${effectiveAt}`);
  }
}
