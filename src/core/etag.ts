import type { Revision } from "../domain/numbers.ts";

/** Matches no revision: for an etag that can't be today's, whatever today's is. */
const NEVER = -1n as Revision;

/** Epoch and revision, quoted; another one after each change of the secret and after each restore. */
export function etagOf(epoch: string, revision: Revision): string {
  return `"${epoch}.${revision}"`;
}

/** The revision that an etag stands for in this epoch; undefined when none was given. */
export function revisionOfEtag(etag: string, epoch: string): Revision | undefined {
  if (etag === "") return undefined;
  const match = /^"([0-9a-f]{32})\.(0|[1-9][0-9]{0,18})"$/.exec(etag);
  return match?.[1] === epoch && match[2] !== undefined ? (BigInt(match[2]) as Revision) : NEVER;
}
