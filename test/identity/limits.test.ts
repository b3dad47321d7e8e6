import { describe, expect, test } from "vitest";
import { SlotsError } from "../../src/domain/errors.ts";
import { addressGroup, ConcurrencyLimit, FailedLogins, peerAddress } from "../../src/server/limits.ts";

describe("addresses", () => {
  test.for([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::9", "2001:db8:1:2::/64"],
    ["2001:db8::9", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["unknown", "unknown"],
    ["", ""],
  ] as const)("%s counts as %s", ([address, group]) => expect(addressGroup(address)).toBe(group));

  test.for([
    ["192.0.2.7:5000", "192.0.2.7"],
    ["2001:db8::9:5000", "2001:db8::9"],
    ["unknown", "unknown"],
  ] as const)("the peer %s is at %s", ([peer, address]) => expect(peerAddress(peer)).toBe(address));
});

function refusal(act: () => void): SlotsError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof SlotsError) return error;
    throw error;
  }
}

describe("failed logins", () => {
  function limit(options: { maxAddresses?: number } = {}) {
    const clock = { now: 1_000_000 };
    const logins = new FailedLogins({ burst: 3, perSecond: 2, now: () => clock.now, ...options });
    return { clock, logins };
  }

  test("are free for a burst, then refused with the time to wait, then free at the rate", () => {
    const { clock, logins } = limit();
    for (let round = 0; round < 3; round++) {
      expect(refusal(() => logins.check("a"))).toBeUndefined();
      logins.failed("a");
    }
    const refused = refusal(() => logins.check("a"));
    expect(refused).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_FAILED_LOGINS",
      retryAfterMs: 500,
    });
    clock.now += 499;
    expect(refusal(() => logins.check("a"))?.retryAfterMs).toBe(1);
    clock.now += 1;
    expect(refusal(() => logins.check("a"))).toBeUndefined();
    logins.failed("a");
    expect(refusal(() => logins.check("a"))?.retryAfterMs).toBe(500);
    clock.now += 3600_000;
    for (let round = 0; round < 3; round++) {
      expect(refusal(() => logins.check("a"))).toBeUndefined();
      logins.failed("a");
    }
    expect(refusal(() => logins.check("a"))).toBeDefined();
  });

  test("beyond the bound never lengthen the wait, and a clock set back does no harm", () => {
    const { clock, logins } = limit();
    for (let round = 0; round < 1000; round++) logins.failed("a");
    expect(refusal(() => logins.check("a"))?.retryAfterMs).toBe(500);
    clock.now -= 3600_000;
    expect(refusal(() => logins.check("a"))?.retryAfterMs).toBe(500);
  });

  test("of one address don't hold back another, nor those of one network of IPv6 each other's", () => {
    const { logins } = limit();
    for (let round = 0; round < 4; round++) logins.failed(`2001:db8::${round}`);
    expect(refusal(() => logins.check("2001:db8::99"))).toBeDefined();
    expect(refusal(() => logins.check("2001:db8:0:1::99"))).toBeUndefined();
    expect(refusal(() => logins.check("192.0.2.7"))).toBeUndefined();
  });

  test("are remembered for a bounded number of addresses, the latest", () => {
    const { logins } = limit({ maxAddresses: 100 });
    for (let address = 0; address < 10_000; address++) {
      for (let round = 0; round < 3; round++) logins.failed(`10.0.${address >> 8}.${address & 255}`);
    }
    expect(logins.addresses).toBe(100);
    expect(refusal(() => logins.check(`10.0.${9_999 >> 8}.${9_999 & 255}`))).toBeDefined();
    expect(refusal(() => logins.check("10.0.0.0"))).toBeUndefined();
  });
});

describe("concurrency", () => {
  const limit = () => new ConcurrencyLimit({ max: 2, reason: "TOO_MANY_WATCHES", retryAfterMs: 1000 });

  test("is bounded for each key, and a place given back is free at once", () => {
    const watches = limit();
    const leave = watches.enter("a");
    watches.enter("a");
    expect(refusal(() => watches.enter("a"))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_WATCHES",
      retryAfterMs: 1000,
    });
    expect(watches.tryEnter("a")).toBeUndefined();
    watches.enter("b");
    leave();
    // Given back twice is given back once.
    leave();
    watches.enter("a");
    expect(watches.tryEnter("a")).toBeUndefined();
  });

  test("remembers nobody who is gone", () => {
    const watches = limit();
    const leaves = Array.from({ length: 10_000 }, (_, key) => watches.enter(`k${key}`));
    expect(watches.keys).toBe(10_000);
    for (const leave of leaves) leave();
    expect(watches.keys).toBe(0);
  });
});
