import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_NUMBER, parseSlotNumber, type SlotNumber, slotOfTime } from "../../src/domain/numbers.ts";
import { current, effectiveAt, type Slot, type SlotState } from "../../src/domain/slots.ts";

const number = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX_NUMBER }),
  fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 53n + 1n, MAX_NUMBER),
) as fc.Arbitrary<SlotNumber>;
const state = fc.constantFrom<SlotState>("enabled", "disabled", "destroyed");
const slots = fc
  .uniqueArray(fc.record({ slot: number, state }), { selector: ({ slot }) => slot, maxLength: 12 })
  .map((list): readonly Slot[] => list);

describe("the two rules", () => {
  it("give the largest enabled number, and the largest at or below", () => {
    fc.assert(
      fc.property(slots, number, (all, at) => {
        const enabled = all.filter((slot) => slot.state === "enabled").map(({ slot }) => slot);
        const largest = (numbers: bigint[]) =>
          numbers.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined);
        expect(current(all)?.slot).toBe(largest(enabled));
        expect(effectiveAt(all, at)?.slot).toBe(largest(enabled.filter((slot) => slot <= at)));
      }),
      { numRuns: 2000 },
    );
  });

  it("agree at the end of the axis, never answer above what was asked, and rise with it", () => {
    fc.assert(
      fc.property(slots, number, number, (all, a, b) => {
        expect(effectiveAt(all, MAX_NUMBER as SlotNumber)).toEqual(current(all));
        const [low, high] = a <= b ? [a, b] : [b, a];
        const [first, second] = [effectiveAt(all, low), effectiveAt(all, high)];
        if (first !== undefined) {
          expect(first.slot <= low).toBe(true);
          expect(second !== undefined && second.slot >= first.slot).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("are not moved by slots that are off, nor by the order in which slots come", () => {
    fc.assert(
      fc.property(slots, number, (all, at) => {
        const enabled = all.filter((slot) => slot.state === "enabled");
        expect(effectiveAt([...all].reverse(), at)?.slot).toBe(effectiveAt(enabled, at)?.slot);
        expect(current([...all].reverse())?.slot).toBe(current(enabled)?.slot);
      }),
    );
  });
});

describe("numbers", () => {
  it("are exact over the whole range, and refused outside it", () => {
    for (const exact of [0n, 2n ** 53n + 1n, MAX_NUMBER]) expect(parseSlotNumber(exact)).toBe(exact);
    for (const outside of [-1n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(() => parseSlotNumber(outside)).toThrow("must be 0 to 9223372036854775807");
    }
    expect(slotOfTime(1_741_790_697_999)).toBe(1_741_790_697n);
  });
});
