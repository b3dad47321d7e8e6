import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LateRefusals } from "../../src/server/late-refusals.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("refusals go out in order, a few at a time, at a steady rate", async () => {
  const late = new LateRefusals();
  const out: number[] = [];
  for (let call = 0; call < 1_000; call++) void late.turn().then(() => out.push(call));
  let most = 0;
  for (let ms = 0; ms < 100; ms++) {
    const before = out.length;
    await vi.advanceTimersByTimeAsync(1);
    most = Math.max(most, out.length - before);
  }
  expect(most).toBeLessThanOrEqual(4);
  expect(out.length).toBe(200);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(out).toEqual(Array.from({ length: 1_000 }, (_, call) => call));
  expect(vi.getTimerCount()).toBe(0);
});

test("those who come late to a full room are refused at once, and all when the server stops", async () => {
  const late = new LateRefusals();
  let out = 0;
  const come = () => void late.turn().then(() => (out += 1));
  for (let call = 0; call < 4_096; call++) come();
  await vi.advanceTimersByTimeAsync(0);
  expect([out, late.waiting]).toEqual([0, 4_096]);
  come();
  await vi.advanceTimersByTimeAsync(0);
  expect([out, late.waiting]).toEqual([1, 4_096]);
  late.flush();
  await vi.advanceTimersByTimeAsync(0);
  expect([out, late.waiting]).toEqual([4_097, 0]);
  expect(vi.getTimerCount()).toBe(0);
});
