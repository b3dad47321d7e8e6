import type { DescMethod } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { Random } from "../support/random.ts";
import { type CallKind, callHeaders, type Ending, FastCalls } from "./fast-calls.ts";
import { inputsFor } from "./inputs.ts";
import type { TargetServer } from "./target-server.ts";
import { CALLERS, type Caller, callerOf, mayAnswer } from "./targets.ts";

/** One input, and what is needed to send it again. */
export interface FuzzCase {
  readonly rpc: string;
  readonly service: string;
  readonly caller: Caller;
  readonly bytes: Buffer;
}

/** Answers that must not be. When the server ended, every call that was on its way failed. */
export class WrongAnswers extends Error {
  readonly inputs: readonly FuzzCase[];

  constructor(wrong: readonly WrongAnswer[]) {
    super(wrong.map(({ message }) => message).join("\n"));
    this.inputs = wrong.map(({ input }) => input);
  }
}

class WrongAnswer extends Error {
  readonly input: FuzzCase;

  constructor(input: FuzzCase, answer: string) {
    super(`${input.rpc} as ${input.caller}: ${answer}, to ${input.bytes.toString("hex").slice(0, 2000)}`);
    this.input = input;
  }
}

/** Counts of what each RPC answered, by the name of the status. */
export type Tally = Map<string, Map<string, number>>;

/** Calls of one RPC that are on their way at once. */
const AT_ONCE = 8;
/** A log that is followed may have nothing to tell for as long as it is left. */
const QUIET_MS = 250;

/** Sends `count` inputs to each RPC, all RPCs at once. Throws WrongAnswers. */
export async function playRound(
  target: TargetServer,
  methods: readonly DescMethod[],
  count: number,
  seed: number,
  tally: Tally,
): Promise<void> {
  const random = new Random(seed);
  // Every lane is over, with its connection closed, before the first failure is told.
  const lanes = await Promise.allSettled(
    methods.map((method) => new Lane(target, method, random.below(2 ** 32), tally).play(count)),
  );
  const wrong = lanes.flatMap((lane) => (lane.status === "rejected" ? [lane.reason as unknown] : []));
  for (const error of wrong) if (!(error instanceof WrongAnswer)) throw error;
  if (wrong.length > 0) throw new WrongAnswers(wrong as WrongAnswer[]);
}

/** One RPC's inputs, over one connection at a time. */
class Lane {
  readonly #target: TargetServer;
  readonly #method: DescMethod;
  readonly #seed: number;
  readonly #counts: Map<string, number>;
  #connection: FastCalls | undefined;
  #opening: Promise<FastCalls> | undefined;

  constructor(target: TargetServer, method: DescMethod, seed: number, tally: Tally) {
    this.#target = target;
    this.#method = method;
    this.#seed = seed;
    this.#counts = tally.get(method.name) ?? new Map();
    tally.set(method.name, this.#counts);
  }

  async play(count: number): Promise<void> {
    const { name: rpc, parent } = this.#method;
    const inputs = inputsFor(this.#method, this.#target.known, this.#seed);
    const random = new Random(~this.#seed);
    const kinds = kindsOf(this.#target, this.#method);
    let left = count;
    const work = async () => {
      while (left > 0) {
        left -= 1;
        const caller = callerOf(rpc, random.next());
        const input = { rpc, service: parent.typeName, caller, bytes: inputs.next().value };
        try {
          this.#judge(input, await (await this.#usable()).call(kinds[caller], input.bytes));
        } catch (error) {
          left = 0;
          throw error instanceof WrongAnswer ? error : new WrongAnswer(input, (error as Error).message);
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    } finally {
      this.#connection?.close();
    }
  }

  #judge(input: FuzzCase, ending: Ending): void {
    const word = typeof ending === "string" ? ending : (status[ending] ?? `${ending}`);
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    const problem = problemOf(input, ending);
    if (problem !== undefined) throw new WrongAnswer(input, problem);
  }

  /** The connection, or a new one once it has reset so many streams that the server would end it. */
  async #usable(): Promise<FastCalls> {
    if (this.#connection?.usable === true) return this.#connection;
    this.#opening ??= FastCalls.open(this.#target.address).then((opened) => {
      this.#retire(this.#connection);
      this.#connection = opened;
      this.#opening = undefined;
      return opened;
    });
    return this.#opening;
  }

  /** Closes a connection once its last call has ended. */
  #retire(old: FastCalls | undefined): void {
    if (old === undefined) return;
    if (old.running === 0) old.close();
    else setTimeout(() => this.#retire(old), 20);
  }
}

/** What is wrong with the answer to one input; undefined when nothing is. */
export async function answerOf(
  target: TargetServer,
  method: DescMethod,
  input: FuzzCase,
): Promise<string | undefined> {
  const calls = await FastCalls.open(target.address);
  try {
    return problemOf(input, await calls.call(kindsOf(target, method)[input.caller], input.bytes));
  } catch (error) {
    return (error as Error).message;
  } finally {
    calls.close();
  }
}

function problemOf({ rpc, caller }: FuzzCase, ending: Ending): string | undefined {
  if (ending === "silence") return undefined;
  // Who is sent a message was admitted.
  const code = ending === "message" ? status.OK : ending;
  return mayAnswer(rpc, caller, code) ? undefined : `answered ${status[code] ?? code}`;
}

function kindsOf(
  target: Pick<TargetServer, "tokens">,
  method: DescMethod,
): Readonly<Record<Caller, CallKind>> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const search = method.name === "SearchAudit";
  const kind = (caller: Caller): CallKind => ({
    headers: callHeaders(path, target.tokens[caller]),
    cancelAtMessage: search || method.name.startsWith("Watch"),
    silenceMs: search && caller === "admin" ? QUIET_MS : undefined,
  });
  return Object.fromEntries(CALLERS.map((caller) => [caller, kind(caller)])) as Record<Caller, CallKind>;
}
