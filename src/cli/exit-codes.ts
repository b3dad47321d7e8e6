import type { Code } from "../../clients/typescript/src/index.ts";

/** What the program ends with, one status for each class of failure. Documented in docs/cli.md; never renumbered. */
export const EXIT = {
  ok: 0,
  general: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unavailable: 5,
  conflict: 6,
  invalid: 7,
  dataLoss: 8,
  exhausted: 9,
} as const;

export const EXIT_OF_CODE = {
  CANCELLED: EXIT.general,
  UNKNOWN: EXIT.general,
  INVALID_ARGUMENT: EXIT.invalid,
  DEADLINE_EXCEEDED: EXIT.unavailable,
  NOT_FOUND: EXIT.notFound,
  ALREADY_EXISTS: EXIT.conflict,
  PERMISSION_DENIED: EXIT.denied,
  RESOURCE_EXHAUSTED: EXIT.exhausted,
  FAILED_PRECONDITION: EXIT.conflict,
  ABORTED: EXIT.conflict,
  OUT_OF_RANGE: EXIT.invalid,
  UNIMPLEMENTED: EXIT.general,
  INTERNAL: EXIT.general,
  UNAVAILABLE: EXIT.unavailable,
  DATA_LOSS: EXIT.dataLoss,
  UNAUTHENTICATED: EXIT.denied,
} as const satisfies Record<Code, number>;

/** A failure of the program itself, with the status that it ends with. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** The command line is wrong. */
export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message);
}
