import type { Spread } from "./statistics.ts";

export interface Plan {
  /** How often A and B are measured, in turn, so that noise hits both. */
  readonly rounds: number;
  readonly seconds: number;
  /** Smaller stores and fewer watchers, for a look in minutes. */
  readonly short: boolean;
  readonly profile: boolean;
}

/** One line of the table. A ratio is taken in each round, and its spread is that of the rounds. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: Spread;
  /** What it must be, where a bound is promised. */
  readonly must?: string;
}

export interface Scenario {
  readonly name: string;
  run(plan: Plan): Promise<readonly Figure[]>;
}
