import { answerOf, type FuzzCase } from "./round.ts";
import { smallestAsync } from "./smallest.ts";
import { TargetServer } from "./target-server.ts";
import { METHODS } from "./targets.ts";

/**
 * The first of these that fails alone, cut down to what it takes; all of them when it takes more than one, or a state
 * of the store that is gone.
 */
export async function shrunk(cases: readonly FuzzCase[]): Promise<readonly FuzzCase[]> {
  const attempt = new Attempt();
  try {
    for (const each of cases) {
      if (!(await attempt.fails(each))) continue;
      const bytes = await smallestAsync(each.bytes, (fewer) => attempt.fails({ ...each, bytes: fewer }));
      return [{ ...each, bytes }];
    }
    return cases;
  } finally {
    await attempt.end();
  }
}

/** Sends inputs one at a time, to a new server whenever one did not survive. */
export class Attempt {
  #target: TargetServer | undefined;

  async fails(input: FuzzCase): Promise<boolean> {
    return (await this.problem(input)) !== undefined;
  }

  /** What is wrong with the answer, or with the server after it. */
  async problem(input: FuzzCase): Promise<string | undefined> {
    const method = METHODS.find(({ name }) => name === input.rpc);
    if (method === undefined) throw new Error(`there is no RPC ${input.rpc}`);
    try {
      this.#target ??= await TargetServer.start();
      const problem = await answerOf(this.#target, method, input);
      if (problem === undefined) await this.#target.mustBeWell();
      return problem;
    } catch (error) {
      await this.end();
      return (error as Error).message;
    }
  }

  async end(): Promise<void> {
    await this.#target?.stop().catch(() => {});
    this.#target = undefined;
  }
}
