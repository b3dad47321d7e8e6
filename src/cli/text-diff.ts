/** One line of a comparison: ` ` is in both, `-` only before, `+` only after. */
export type DiffLine = readonly [mark: " " | "-" | "+", line: string];

/** Past it the table of the comparison would be too large to be worth it. */
const MAX_CELLS = 4_000_000;

/** The fewest lines to take away and add (the longest common subsequence stays). For texts of a screen or two. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  if (before.length * after.length > MAX_CELLS) {
    return [...before.map((line): DiffLine => ["-", line]), ...after.map((line): DiffLine => ["+", line])];
  }
  // common[i][j]: how many lines `before` from i and `after` from j have in common, in order.
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const row = common[i] as Uint32Array;
      row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const [old, now] = [before[i], after[j]];
    if (old !== undefined && old === now) {
      lines.push([" ", old]);
      i += 1;
      j += 1;
    } else if (old !== undefined && (now === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(["-", old]);
      i += 1;
    } else if (now !== undefined) {
      lines.push(["+", now]);
      j += 1;
    }
  }
  return lines;
}
