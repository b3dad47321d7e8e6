import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** Runs of minutes: kills, power cuts, faults of the disk. One at a time, for they load the machine by themselves. */
export default mergeConfig(
  base,
  defineConfig({
    test: { include: ["test/guarantees/**/*.test.ts"], testTimeout: 900_000, maxWorkers: 1, fileParallelism: false },
  }),
);
