import { expect, test } from "vitest";
import { StorageOpenError } from "../../src/storage/open-error.ts";
import { failWith, replayOf } from "./support/failures.ts";
import { integrityOf } from "./support/integrity.ts";
import { Progress } from "./support/progress.ts";
import { countOf, countOrEvery, Random, seedOf } from "./support/random.ts";
import { fastFolder, folder } from "./support/scratch.ts";
import { type Region, SmallStore, type StoreFile } from "./support/small-store.ts";
import { limitMs } from "./support/time-limit.ts";

const FLIPS = countOrEvery("SLOTS_TEST_FLIPS", 2000);
/** How many of these to leave out: the variable names the first, where a run goes on that was stopped. */
const FROM = countOf("SLOTS_TEST_FLIPS_FROM", 1) - 1;
/** Of those that open, SQLite's own program looks at one in so many. */
const CHECKED_ONE_IN = 25;

interface Flip {
  readonly file: StoreFile;
  readonly at: number;
  readonly bit: number;
  /** The database alone: its pages would otherwise be taken from the WAL, where that has them. */
  readonly withoutWal: boolean;
  readonly region: string;
}

/** So many, through all pages and frames in turn; a page of the database with the WAL and without. */
function sample(store: SmallStore, random: Random, count: number): readonly Flip[] {
  const pages = store.pages.flatMap((page) => [
    { ...page, withoutWal: true },
    { ...page, withoutWal: false, what: `${page.what} below the WAL` },
  ]);
  const frames = store.frames.map((frame) => ({ ...frame, withoutWal: false }));
  return Array.from({ length: count }, (_, flip) => {
    const regions = flip % 2 === 0 ? pages : frames;
    const { from, to, file, withoutWal, what } = regions[(flip >> 1) % regions.length]!;
    return { file, at: from + random.below(to - from), bit: random.below(8), withoutWal, region: what };
  });
}

/** One bit of every byte; the bits of a byte are met by eight seeds that follow each other. */
function every(store: SmallStore, seed: number): readonly Flip[] {
  const flips = ({ file, from, to, what }: Region): readonly Flip[] =>
    Array.from({ length: to - from }, (_, index) => {
      const at = from + index;
      return { file, at, bit: (at + seed) % 8, withoutWal: file === "store.db", region: what };
    });
  return [...store.pages, ...store.frames].flatMap(flips);
}

test(
  `${FLIPS === "every" ? "a flipped bit in every byte is" : `${FLIPS} flipped bits are`} refused, recovered or told, and never read as another value (D3)`,
  async () => {
    const seed = seedOf("flipped bits");
    const store = await SmallStore.make(folder(), fastFolder());
    const all = FLIPS === "every" ? every(store, seed) : sample(store, new Random(seed), FLIPS);
    const flips = all.slice(FROM);
    const sizes = Object.values(store.bytes).map(({ length }) => length);
    if (FLIPS === "every") expect(all).toHaveLength(sizes[0]! + sizes[1]!);

    const progress = new Progress("flips", flips.length);
    const counts = { refused: 0, harmless: 0, told: 0, recovered: 0 };
    const met = new Set<string>();
    let opened = 0;
    for (const [index, flip] of flips.entries()) {
      const { file, at, bit, withoutWal, region } = flip;
      const fail = (problem: string): never =>
        failWith(
          "flip",
          replayOf("flipped-bits", seed),
          `number ${FROM + index + 1}: bit ${bit} of byte ${at} of ${file}${withoutWal ? " without its WAL" : ""}, ${region}: ${problem}`,
        );
      const bytes = Buffer.from(store.bytes[file]);
      bytes[at]! ^= 1 << bit;
      try {
        const read = store.read({ ...(withoutWal ? { "store.db-wal": undefined } : {}), [file]: bytes });
        const falsehoods = store.falsehoods(read);
        if (falsehoods.length > 0) fail(falsehoods.join("; "));
        const values = [...read.values()];
        if (values.includes("damaged")) counts.told += 1;
        else {
          const same = JSON.stringify(values) === JSON.stringify([...store.now.values()]);
          counts[same ? "harmless" : "recovered"] += 1;
          opened += 1;
          const found = opened % CHECKED_ONE_IN === 0 ? integrityOf(store.copy) : "ok";
          if (found !== "ok") fail(`it opens, and sqlite3 says: ${found}`);
        }
      } catch (error) {
        const refusal =
          error instanceof StorageOpenError || (error as Error).message.startsWith("the check of");
        if (!refusal) throw error;
        counts.refused += 1;
      }
      met.add(region);
      await progress.step();
    }
    const regions = new Set(all.map(({ region }) => region));
    console.log(
      `${flips.length} flips in ${sizes.join(" + ")} bytes, ${met.size} pages and parts of the WAL, ${progress.seconds} s:`,
      counts,
    );
    if (FROM === 0) expect(met).toEqual(regions);
    if (FLIPS === "every" || FLIPS < 400) return;
    // So many meet each page and frame at least once.
    for (const { what } of [...store.pages, ...store.frames]) expect(met).toContain(what);
    expect(counts.refused).toBeGreaterThan(0);
    expect(counts.recovered).toBeGreaterThan(0);
  },
  limitMs(FLIPS === "every" ? 500_000 : FLIPS, 100),
);
