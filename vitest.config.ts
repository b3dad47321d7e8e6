import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "clients/typescript/test/**/*.test.ts", "examples/**/*.test.ts"],
    // Guarantees are proven by runs of their own, which take longer: `npm run guarantees`.
    exclude: ["**/node_modules/**", "test/guarantees/**"],
    // Real processes and sockets on a machine that may be busy: bounds are there to end a hang, not to measure.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    pool: "forks",
    maxWorkers: 2,
    globalSetup: ["test/support/global-setup.ts"],
  },
});
