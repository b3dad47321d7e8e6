import { expect, it } from "vitest";
import { GatheredBytes } from "../../src/server/direct/gathered-bytes.ts";

it("pieces of any size come back as one, and cost at most twice their bytes", () => {
  const pieces = [0, 1, 3, 4091, 1, 1, 9000, 0, 40_000, 1].map((length, index) =>
    Buffer.alloc(length, index + 1),
  );
  const gathered = new GatheredBytes(pieces.slice(0, 3));
  for (const piece of pieces.slice(3)) gathered.append(piece);
  const whole = Buffer.concat(pieces);
  expect(gathered.bytes().equals(whole)).toBe(true);
  expect(gathered.size).toBeLessThanOrEqual(2 * whole.length);
  expect(new GatheredBytes([]).bytes()).toHaveLength(0);
});
