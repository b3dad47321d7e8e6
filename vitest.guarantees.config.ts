import { defineConfig } from "vitest/config";

/** Runs of minutes: kills, power cuts, faults of the disk. One at a time, for each loads the machine by itself. */
export default defineConfig({
  test: {
    include: ["test/guarantees/**/*.test.ts"],
    // A shared machine can stall any process for longer than a bound; a broken promise is never tried again.
    retry: {
      count: process.env.CI === "true" ? 1 : 0,
      condition: /in vain|no message within|timed out|DEADLINE_EXCEEDED|before it was ready|calls hang/,
    },
    testTimeout: 900_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 1,
    reporters: ["default", "./test/support/flaky-reporter.ts"],
    globalSetup: ["test/support/global-setup.ts"],
  },
});
