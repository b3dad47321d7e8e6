/**
 * What verification can find.
 * - `edited`: a record's bytes are not those that were written (or it was put in by somebody)
 * - `unreadable`: a line is no record
 * - `missing`: records are gone from before this line
 * - `duplicate`, `moved`: a record stands where it was not written
 * - `truncated`: the log ends before the last anchor
 * - `segment-missing`, `segment-misplaced`: a file of the chain is gone, or is not the one its name says
 * - `chain-missing`: the store knows of a chain that the log has no file of
 * - `anchor-mismatch`: the record that was anchored is another one now
 * - `stray-bytes`: something stands behind the end of a segment that was ended in order
 * - `key-missing`: the chain can't be checked, there is no key for it
 */
export const TAMPERING = [
  "edited",
  "unreadable",
  "missing",
  "duplicate",
  "moved",
  "truncated",
  "segment-missing",
  "segment-misplaced",
  "chain-missing",
  "anchor-mismatch",
  "stray-bytes",
  "key-missing",
] as const;

/**
 * What is worth knowing and no sign of tampering.
 * - `torn`: the last line has no end, or a gap, as a kill or a power cut leaves it
 * - `pruned`: files before this one were removed by the server, as the log itself says
 * - `not-anchored`: the store has no anchor of this chain, so a cut at its end could not be found
 */
export const NOTICES = ["torn", "pruned", "not-anchored"] as const;

export type FindingKind = (typeof TAMPERING)[number] | (typeof NOTICES)[number];

/** One thing found, and where. */
export interface Finding {
  readonly kind: FindingKind;
  readonly chain: string;
  /** The file's name in the log's folder; undefined where a whole chain is gone. */
  readonly file: string | undefined;
  /** The line in the file, from 1. */
  readonly line: number | undefined;
  /** The `seq` of the record concerned, or of the first one. */
  readonly seq: number | undefined;
  /** A sentence for people. */
  readonly message: string;
}

export function isTampering(finding: Finding): boolean {
  return (TAMPERING as readonly string[]).includes(finding.kind);
}
