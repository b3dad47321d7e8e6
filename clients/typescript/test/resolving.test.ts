import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fakeSecrets, type SecretHandle } from "../src/index.ts";

type SlotCase = {
  id: string;
  slots?: Record<string, string>;
  then?: unknown[];
  calls: { get?: true; at?: string; value?: string | null; slot?: string; reason?: string }[];
};

const file = join(import.meta.dirname, "../../../test/conformance/cases/slots.json");
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: SlotCase[] };

function handleOf(slots: Record<string, string>): SecretHandle {
  return fakeSecrets({ s: slots }).handle("s");
}

describe("resolving in memory", () => {
  const plain = cases.filter(({ id, slots, then }) => slots && !then && id !== "unknown-name");
  it.each(plain.map((one) => [one.id, one] as const))("%s", (_, { slots, calls }) => {
    const handle = handleOf(slots!);
    for (const { get, at, value, slot, reason } of calls) {
      const read = () => (get ? handle.current() : handle.effectiveAt(BigInt(at!)));
      if (value === null) expect(read).toThrow(expect.objectContaining({ code: "NOT_FOUND", reason }));
      else expect(read()).toMatchObject({ slot: BigInt(slot!) });
      if (value !== null) expect(read().value.text()).toBe(value);
    }
  });

  it("answers as a plain search over the numbers does, for any slots and any t", () => {
    const edge = fc.constantFrom(
      0n,
      1n,
      2n ** 31n,
      2n ** 32n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
    );
    const number = fc.oneof(edge, fc.bigInt(0n, 20n), fc.bigInt(0n, 2n ** 63n - 1n));
    fc.assert(
      fc.property(
        fc.uniqueArray(number, { minLength: 1, maxLength: 12 }),
        number,
        number,
        (slots, t, overlap) => {
          const handle = handleOf(Object.fromEntries(slots.map((slot) => [String(slot), `v${slot}`])));
          const effective = (at: bigint): bigint | undefined =>
            slots
              .filter((slot) => slot <= at)
              .reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined);
          const found = handle.state().slots.findLast(({ slot }) => slot <= t);
          expect(found?.slot).toBe(effective(t));
          if (found) expect(handle.effectiveAt(t).value.text()).toBe(`v${found.slot}`);
          else expect(() => handle.effectiveAt(t)).toThrow();
          if (t <= 2n ** 53n - 1n && found) expect(handle.effectiveAt(Number(t))).toBe(handle.effectiveAt(t));
          const from = t > overlap ? t - overlap : 0n;
          const wanted = slots.filter(
            (slot) => (slot > from && slot <= t + overlap) || slot === effective(from),
          );
          expect(handle.acceptable(t, overlap).map(({ slot }) => slot)).toEqual(
            wanted.sort((a, b) => (a > b ? -1 : 1)),
          );
        },
      ),
    );
  });

  it.each([-1, -1n, 1.5, Number.NaN, 2 ** 53, 2n ** 63n])("refuses %s", (at) => {
    const handle = handleOf({ "0": "a" });
    expect(() => handle.effectiveAt(at)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => handle.acceptable(at, 0)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
