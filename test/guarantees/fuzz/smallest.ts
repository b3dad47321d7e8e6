/** Tries of one shrinking. */
const MOST_TRIES = 400;

/** Leaves out pieces, from halves down to bytes, for as long as what is left still fails. */
export function smallest(whole: Buffer, fails: (bytes: Buffer) => boolean): Buffer {
  const shrinking = shrink(whole);
  let step = shrinking.next();
  while (!step.done) step = shrinking.next(fails(step.value));
  return step.value;
}

/** The same where finding out takes time. */
export async function smallestAsync(
  whole: Buffer,
  fails: (bytes: Buffer) => Promise<boolean>,
): Promise<Buffer> {
  const shrinking = shrink(whole);
  let step = shrinking.next();
  while (!step.done) step = shrinking.next(await fails(step.value));
  return step.value;
}

/** Yields what to try, is told whether it fails, and returns the smallest that does. */
function* shrink(whole: Buffer): Generator<Buffer, Buffer, boolean> {
  let bytes = whole;
  let tries = 0;
  for (let piece = bytes.length >> 1; piece > 0 && tries < MOST_TRIES; ) {
    let cut = false;
    for (let at = 0; at < bytes.length && tries < MOST_TRIES; tries += 1) {
      const fewer = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + piece)]);
      if (yield fewer) {
        bytes = fewer;
        cut = true;
      } else at += piece;
    }
    if (!cut) piece >>= 1;
  }
  return bytes;
}
