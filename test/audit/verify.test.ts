import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Chain, chainKey } from "../../src/audit/chain.ts";
import type { FindingKind } from "../../src/audit/finding.ts";
import { bodyOf } from "../../src/audit/record-line.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { LogFolder, STORE_KEY } from "./file-log.ts";
import { call } from "./records.ts";

let original: LogFolder;
let folder: LogFolder;
let chain: string;

/** Three segments of one chain; the second has lines enough to tamper with. */
beforeAll(async () => {
  original = new LogFolder();
  const log = await original.open({ segmentBytes: 5000 });
  chain = log.chain;
  for (let index = 0; index < 50; index++)
    await log.append(call({ requestId: `r${index}`, slot: BigInt(index) }));
  await log.close();
  expect(original.segments.length).toBe(3);
});

afterAll(() => original.remove());

beforeEach(() => {
  folder = original.copy();
});

afterEach(() => folder.remove());

const second = () => folder.segments[1]!;
const seqOf = (line: string): number => JSON.parse(line).seq;

/** Rewrites the second segment. */
function tamper(change: (lines: string[]) => void): void {
  const lines = folder.lines(second());
  change(lines);
  folder.write(second(), lines);
}

/** What was found, as `kind@line`; lines are of the second segment unless another file is named. */
async function findings(): Promise<readonly string[]> {
  const report = await folder.verify();
  expect(report.ok).toBe(report.findings.every(({ kind }) => kind === "torn" || kind === "not-anchored"));
  return report.findings.map(({ kind, file, line }) => {
    const segment = file === undefined ? 0 : Number(file.slice(-14, -6));
    return segment === 2 ? `${kind}@${line}` : `${kind}@${segment}:${line}`;
  });
}

test("an untouched log, and a copy of it, verify", async () => {
  expect(await findings()).toEqual([]);
  const report = await folder.verify();
  expect(report).toMatchObject({ ok: true, findingCount: 0 });
  expect(report.chains).toEqual([{ chain, segments: 3, records: 54, closed: true }]);
});

describe("S4: found with its position:", () => {
  test("a record edited", async () => {
    tamper((lines) => {
      lines[5] = lines[5]!.replace("token:pay", "token:bad");
    });
    expect(await findings()).toEqual(["edited@6"]);
  });

  test("every single byte of a record", async () => {
    const bytes = readFileSync(join(folder.path, second()));
    const from = bytes.indexOf("\n", bytes.indexOf("\n") + 1) + 1;
    const to = bytes.indexOf("\n", from);
    for (let at = from; at <= to; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      writeFileSync(join(folder.path, second()), changed);
      const report = await folder.verify();
      expect(report.ok, `byte ${at - from}`).toBe(false);
      expect(report.findings[0], `byte ${at - from}`).toMatchObject({ file: second() });
      expect([3, 4]).toContain(report.findings[0]!.line);
    }
  });

  test("a mac edited", async () => {
    tamper((lines) => {
      const at = lines[5]!.length - 10;
      lines[5] = lines[5]!.slice(0, at) + (lines[5]![at] === "A" ? "B" : "A") + lines[5]!.slice(at + 1);
    });
    expect(await findings()).toEqual(["edited@6"]);
  });

  test("a number edited", async () => {
    tamper((lines) => {
      lines[5] = lines[5]!.replace(/"seq":\d+/, '"seq":400');
    });
    expect(await findings()).toEqual(["edited@6"]);
  });

  test("a number edited to an earlier one", async () => {
    tamper((lines) => {
      lines[5] = lines[5]!.replace(/"seq":\d+/, '"seq":3');
    });
    expect(await findings()).toEqual(["duplicate@6", "missing@7"]);
  });

  test("two records edited", async () => {
    tamper((lines) => {
      lines[5] = lines[5]!.replace("token:pay", "token:bad");
      lines[6] = lines[6]!.replace("token:pay", "token:bad");
      lines[9] = lines[9]!.replace("token:pay", "token:bad");
    });
    expect(await findings()).toEqual(["edited@6", "edited@7", "edited@10"]);
  });

  test("a line overwritten with something else", async () => {
    tamper((lines) => {
      lines[5] = "{}";
    });
    expect(await findings()).toEqual(["unreadable@6"]);
  });

  test("a line put in", async () => {
    tamper((lines) => {
      lines.splice(5, 0, "nonsense");
    });
    expect(await findings()).toEqual(["unreadable@6"]);
  });

  test("a forged record put in", async () => {
    tamper((lines) => {
      lines.splice(5, 0, lines[5]!.replace("token:pay", "token:bad"));
    });
    expect(await findings()).toEqual(["edited@6"]);
  });

  test("a record replaced by one made with another key, which leaves the next one unproven", async () => {
    tamper((lines) => {
      const before = JSON.parse(lines[4]!);
      const forger = new Chain(new Uint8Array(32));
      const body = bodyOf({ kind: "call" }, before.time);
      lines[5] = forger.extend({ seq: before.seq, mac: before.mac }, [body]).text.trimEnd();
    });
    expect(await findings()).toEqual(["edited@6", "edited@7"]);
  });

  test("a record dropped", async () => {
    tamper((lines) => {
      lines.splice(5, 1);
    });
    expect(await findings()).toEqual(["missing@6"]);
  });

  test("records dropped, at two places", async () => {
    tamper((lines) => {
      lines.splice(8, 1);
      lines.splice(4, 3);
    });
    const report = await folder.verify();
    expect(report.findings.map(({ kind, line }) => `${kind}@${line}`)).toEqual(["missing@5", "missing@6"]);
    expect(report.findings[0]).toMatchObject({
      chain,
      file: second(),
      seq: seqOf(original.lines(second())[4]!),
    });
    expect(report.findings[0]!.message).toMatch(/^records \d+ to \d+ are missing before this line$/);
  });

  test("a record dropped and the ones after it numbered anew", async () => {
    tamper((lines) => {
      lines.splice(5, 1);
      for (let at = 5; at < lines.length; at++) {
        lines[at] = lines[at]!.replace(/"seq":(\d+)/, (_, seq) => `"seq":${Number(seq) - 1}`);
      }
    });
    expect((await findings()).filter((found) => found === "edited@6")).toHaveLength(1);
  });

  test("two records swapped", async () => {
    tamper((lines) => {
      [lines[5], lines[6]] = [lines[6]!, lines[5]!];
    });
    expect(await findings()).toEqual(["moved@6"]);
  });

  test("a record moved towards the end", async () => {
    tamper((lines) => {
      lines.splice(10, 0, ...lines.splice(5, 1));
    });
    expect(await findings()).toEqual(["missing@6", "moved@11"]);
  });

  test("a record moved towards the start", async () => {
    tamper((lines) => {
      lines.splice(5, 0, ...lines.splice(10, 1));
    });
    expect(await findings()).toEqual(["moved@6", "missing@12"]);
  });

  test("a record moved into another segment", async () => {
    const [, line] = folder.lines(folder.segments[2]!);
    tamper((lines) => {
      lines.splice(5, 0, line!);
    });
    const third = folder.lines(folder.segments[2]!);
    third.splice(1, 1);
    folder.write(folder.segments[2]!, third);
    expect(await findings()).toEqual(["moved@6", "missing@3:2"]);
  });

  test("a record repeated, at once and later", async () => {
    tamper((lines) => {
      lines.splice(6, 0, lines[5]!);
      lines.splice(10, 0, lines[5]!);
    });
    expect(await findings()).toEqual(["duplicate@7", "duplicate@11"]);
  });

  test("a record replaced by one of another chain", async () => {
    const other = new LogFolder();
    const log = await other.open();
    for (let index = 0; index < 40; index++) await log.append(call());
    await log.close();
    const lines = other.lines(other.segments[0]!);
    other.remove();
    tamper((mine) => {
      mine[5] = lines.find((line) => seqOf(line) === seqOf(mine[5]!))!;
    });
    expect(await findings()).toEqual(["edited@6", "edited@7"]);
  });

  test("the first line of a segment dropped", async () => {
    tamper((lines) => {
      lines.splice(0, 1);
    });
    expect(await findings()).toEqual(["missing@1"]);
  });

  test("the last line of a segment dropped", async () => {
    tamper((lines) => {
      lines.splice(-1);
    });
    expect(await findings()).toEqual(["missing@3:1"]);
  });

  test("a segment in the middle removed", async () => {
    unlinkSync(join(folder.path, second()));
    expect(await findings()).toEqual(["segment-missing@3:1", "missing@3:1"]);
  });

  test("the first segment removed", async () => {
    unlinkSync(join(folder.path, folder.segments[0]!));
    expect(await findings()).toEqual(["segment-missing@1", "missing@1"]);
  });

  test("the last segment removed", async () => {
    const lines = folder.lines(second()).length;
    unlinkSync(join(folder.path, folder.segments[2]!));
    expect(await findings()).toEqual([`truncated@${lines + 1}`]);
  });

  test("the whole chain removed", async () => {
    for (const file of folder.segments) unlinkSync(join(folder.path, file));
    expect(await findings()).toEqual(["chain-missing@0:undefined"]);
  });

  test("a segment emptied", async () => {
    truncateSync(join(folder.path, second()), 0);
    expect(await findings()).toEqual(["missing@3:1"]);
  });

  test("two segments swapped by their names", async () => {
    const [a, b] = [join(folder.path, folder.segments[0]!), join(folder.path, second())];
    renameSync(a, `${a}.swap`);
    renameSync(b, a);
    renameSync(`${a}.swap`, b);
    const found = await findings();
    expect(found).toContain("segment-misplaced@1:1");
    expect(found).toContain("segment-misplaced@1");
  });

  test("a segment copied under the next number", async () => {
    const last = folder.segments[2]!;
    copyFileSync(join(folder.path, last), join(folder.path, last.replace("00000003", "00000004")));
    expect(await findings()).toContain("segment-misplaced@4:1");
  });

  test("the end cut off, at each line of the last segment and inside a line", async () => {
    const last = folder.segments[2]!;
    const lines = folder.lines(last);
    for (let keep = 1; keep < lines.length; keep++) {
      folder.write(last, lines.slice(0, keep));
      expect(await findings()).toEqual([`truncated@3:${keep + 1}`]);
    }
    const inside = Buffer.byteLength(`${lines[0]}\n`) + 30;
    folder.write(last, lines);
    truncateSync(join(folder.path, last), inside);
    expect(await findings()).toEqual(["torn@3:2", "truncated@3:2"]);
  });

  test("lines put behind the end", async () => {
    const [, line] = folder.lines(second());
    appendFileSync(join(folder.path, folder.segments[2]!), `${line}\n{"seq":\n`);
    const end = folder.lines(folder.segments[2]!).length;
    expect(await findings()).toEqual([`duplicate@3:${end - 1}`, `unreadable@3:${end}`]);
  });

  test("bytes behind the end of the content", async () => {
    appendFileSync(
      join(folder.path, second()),
      Buffer.concat([Buffer.alloc(300_000), Buffer.from("hidden")]),
    );
    expect((await findings()).map((found) => found.split("@")[0])).toEqual(["stray-bytes"]);
    appendFileSync(join(folder.path, folder.segments[2]!), "half a line");
    expect((await findings()).map((found) => found.split("@")[0])).toEqual(["stray-bytes", "stray-bytes"]);
  });

  test("a line without an end does not fill the memory", async () => {
    tamper((lines) => {
      lines[5] = `{"seq":7,${"x".repeat(9 << 20)}`;
    });
    expect(await findings()).toEqual(["unreadable@6"]);
  });

  test("a chain rewritten by somebody who has the key", async () => {
    const lines = folder.lines(folder.segments[2]!);
    const head = JSON.parse(folder.lines(second()).at(-1)!);
    const bodies = lines.map((line) => line.replace(/^\{"seq":\d+,/, "").replace(/,"mac":"[^"]+"\}$/, ""));
    const rewritten = bodies.map((body) => body.replace("token:pay", "token:bad"));
    const forged = new Chain(chainKey(STORE_KEY, chain)).extend({ seq: head.seq, mac: head.mac }, rewritten);
    writeFileSync(join(folder.path, folder.segments[2]!), forged.text);
    expect(await findings()).toEqual([`anchor-mismatch@3:${lines.length}`]);
  });
});

test("no mixture of edits, drops, moves and repeats goes unnoticed", async () => {
  const before = folder.lines(second());
  const at = fc.nat({ max: before.length - 1 });
  const edits = fc.oneof(
    fc.record({ kind: fc.constant("edit" as const), at, to: fc.nat({ max: 150 }) }),
    fc.record({ kind: fc.constant("drop" as const), at, to: fc.constant(0) }),
    fc.record({ kind: fc.constantFrom("move" as const, "repeat" as const), at, to: at }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(edits, { minLength: 1, maxLength: 6 }), async (changes) => {
      const lines = [...before];
      for (const { kind, at, to } of changes) {
        const line = lines[at];
        if (line === undefined) continue;
        if (kind === "edit") lines[at] = `${line.slice(0, to)}~${line.slice(to + 1)}`;
        if (kind === "drop" || kind === "move") lines.splice(at, 1);
        if (kind === "move" || kind === "repeat") lines.splice(to, 0, line);
      }
      folder.write(second(), lines);
      expect((await folder.verify()).ok).toBe(lines.join() === before.join());
    }),
    { numRuns: 300 },
  );
}, 30_000);

test("a chain without its key can't be checked, and that is no success", async () => {
  const report = await verifyAudit({ directory: folder.path, keyOfChain: () => undefined, anchors: [] });
  expect(report).toMatchObject({ ok: false, findings: [{ kind: "key-missing", chain }] });
});

test("with another key nothing fits, and findings are counted but not kept without bound", async () => {
  const report = await verifyAudit({
    directory: folder.path,
    keyOfChain: () => new Uint8Array(32),
    anchors: [],
  });
  expect(report.ok).toBe(false);
  expect(report.findingCount).toBeGreaterThan(50);
});

test("a chain that is still written, and one that a crash ended, are in order", async () => {
  const live = new LogFolder();
  const log = await live.open({ reserveBytes: 1 << 20, anchorIntervalMs: 1 });
  for (let index = 0; index < 20; index++) await log.append(call());
  expect(await live.verify()).toMatchObject({ ok: true, findings: [], chains: [{ closed: false }] });
  const crashed = live.copy();
  await log.close();
  const [file] = crashed.segments;
  appendFileSync(
    join(crashed.path, file!),
    Buffer.concat([Buffer.from('{"seq":22,"ti'), Buffer.alloc(5000)]),
  );
  const report = await crashed.verify();
  expect(report.ok).toBe(true);
  expect(report.findings.map(({ kind }) => kind satisfies FindingKind)).toEqual(["torn"]);
  // As a cut of the power leaves it: a sector of what was not flushed is there, and one before it is not.
  appendFileSync(join(crashed.path, file!), '"slot":"5","revisi');
  expect(await crashed.verify()).toMatchObject({ ok: true, findings: [{ kind: "torn" }] });
  crashed.anchors.clear();
  expect((await crashed.verify()).findings.map(({ kind }) => kind)).toEqual(["torn", "not-anchored"]);
  live.remove();
  crashed.remove();
});
