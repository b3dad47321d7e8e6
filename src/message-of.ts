/** What an error says, for the operator's log; undefined stays so. */
export function messageOf(error: unknown): string | undefined {
  return error === undefined ? undefined : error instanceof Error ? error.message : String(error);
}
