import { defineConfig } from "vitest/config";

/** Runs of minutes: kills, power cuts, faults of the disk. One at a time, for each loads the machine by itself. */
export default defineConfig({
  test: {
    include: ["test/guarantees/**/*.test.ts"],
    retry: process.env.CI === "true" ? 1 : 0,
    testTimeout: 900_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 1,
    globalSetup: ["test/support/global-setup.ts"],
  },
});
