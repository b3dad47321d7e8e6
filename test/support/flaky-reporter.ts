import type { Reporter, TestCase } from "vitest/node";

/** Names what passed only at its second try, with what was wrong at the first: it must be read, not forgotten. */
export default class FlakyReporter implements Reporter {
  readonly #lines: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const [first] = test.result().errors ?? [];
    const cause = first?.message.split("\n")[0] ?? "";
    this.#lines.push(`FLAKY ${test.module.relativeModuleId} > ${test.fullName}: ${cause}`);
  }

  onTestRunEnd(): void {
    for (const line of this.#lines) console.log(line);
  }
}
