/** How two samples differ by Welch's t; |t| below 4.5 is no sign of a difference. */
export interface Comparison {
  /** Positive when the first is slower. */
  readonly t: number;
  /** Of the means, in the samples' unit. */
  readonly difference: number;
  /** Of that difference. */
  readonly standardError: number;
}

/**
 * Crops what is above a percentile of both together: what the machine did besides, not what was called. At 99 that is
 * the rare; at less, also what a busy machine does all the time.
 */
export function compare(first: readonly number[], second: readonly number[], percentile = 99): Comparison {
  const all = [...first, ...second].sort((a, b) => a - b);
  const limit = all[Math.floor((all.length * percentile) / 100)] ?? Number.POSITIVE_INFINITY;
  const [a, b] = [first, second].map((sample) => moments(sample.filter((each) => each <= limit)));
  if (a === undefined || b === undefined) throw new Error("there are two samples");
  const standardError = Math.sqrt(a.variance / a.count + b.variance / b.count);
  const difference = a.mean - b.mean;
  return { t: difference / standardError, difference, standardError };
}

function moments(sample: readonly number[]) {
  const count = sample.length;
  const mean = sample.reduce((sum, each) => sum + each, 0) / count;
  const variance = sample.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (count - 1);
  return { count, mean, variance };
}
