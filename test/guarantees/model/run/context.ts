import { Recorder } from "../history.ts";
import type { Program } from "../program.ts";
import type { World } from "../world.ts";

const FAULTS = new Set(["kill", "kill-worker", "stop", "cut", "epoch", "restore"]);

/** What all parts of one run work with. */
export class Context {
  readonly world: World;
  readonly recorder = new Recorder();
  readonly prefix: string;
  /** Of the secrets. */
  readonly names: readonly string[];
  /** Whether calls may break off: each change then has a request id, so that asking again is safe. */
  readonly faulty: boolean;

  constructor(world: World, program: Program, prefix: string) {
    this.world = world;
    this.prefix = prefix;
    this.names = [`${prefix}/a`, `${prefix}/b`];
    this.faulty = program.some((round) => round.some((action) => FAULTS.has(action.do)));
  }

  name(index: number): string {
    return this.names[index % this.names.length] ?? "";
  }
}
