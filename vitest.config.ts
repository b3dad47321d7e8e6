import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Guarantees are proven by runs of their own, which take longer: `npm run guarantees`. What judges them is quick.
    include: [
      "test/!(guarantees)/**/*.test.ts",
      "test/guarantees/model/validators.test.ts",
      "clients/typescript/test/**/*.test.ts",
      "examples/**/*.test.ts",
    ],
    exclude: ["**/node_modules/**"],
    // A shared machine can stall any process for seconds. What passes only at its second try is shown as such.
    retry: process.env.CI === "true" ? 1 : 0,
    // Real processes and sockets on a machine that may be busy: bounds are there to end a hang, not to measure.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    pool: "forks",
    maxWorkers: 2,
    reporters: ["default", "./test/support/flaky-reporter.ts"],
    globalSetup: ["test/support/global-setup.ts"],
  },
});
