import type { Spread } from "./statistics.ts";

export interface Plan {
  /** How often A and B are measured, in turn, so that noise hits both. */
  readonly rounds: number;
  readonly seconds: number;
  /** Smaller stores and fewer watchers, for a look in minutes. */
  readonly short: boolean;
  /** The folder for the servers' processor profiles; they cost time, so figures taken beside them are for nobody. */
  readonly profile: string | undefined;
  /** A store that `bench/generate.ts` made, of the size the scenario asks for; it is used up and kept. */
  readonly largeStore: string | undefined;
}

/** One line of the table. A ratio is taken in each round, and its spread is that of the rounds. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: Spread;
  /** What it must be, where a bound is promised. */
  readonly must?: string;
  /** What it is meant to be. */
  readonly aim?: string;
}

/** What one run of a scenario gave, and under what conditions; kept as JSON. */
export interface Result {
  readonly scenario: string;
  readonly node: string;
  readonly machine: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly short: boolean;
  readonly figures: readonly Figure[];
}

export interface Scenario {
  readonly name: string;
  /** Takes many minutes: measured in fewer and shorter rounds. */
  readonly heavy?: boolean;
  run(plan: Plan): Promise<readonly Figure[]>;
}
