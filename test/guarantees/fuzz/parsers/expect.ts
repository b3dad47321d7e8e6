/** Throws, with what went wrong and how it was said, unless it is true. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`broken promise: ${what}`);
}

export function mustEqual(is: unknown, wanted: unknown, what: string): void {
  const [a, b] = [text(is), text(wanted)];
  must(a === b, `${what}: ${a.slice(0, 500)} instead of ${b.slice(0, 500)}`);
}

function text(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? `${each}n` : each)) ?? "undefined"
  );
}

/** What it gives; undefined when it refuses as it may. Any other error is a fault and goes on. */
export function orRefused<T>(parse: () => T, refusal: (error: Error) => boolean): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Error && refusal(error)) return undefined;
    throw error;
  }
}
