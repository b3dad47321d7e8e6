import { describe, expect, it } from "vitest";
import { type Derived, fakeSecrets } from "../src/index.ts";
import { eventually } from "./eventually.ts";

describe("derived", () => {
  it("builds the new one before it closes the old one, once each", async () => {
    const secrets = fakeSecrets({ s: "a" });
    const log: string[] = [];
    const derived: Derived<{ value: string }> = await secrets.handle("s").derived(
      ({ value }) => {
        log.push(`build ${value.text()}`);
        return { value: value.text() };
      },
      ({ value }) => log.push(`close ${value}, ${derived.get().value} in place`),
    );
    secrets.rotate("s", "b");
    await eventually(() => log.length === 3);
    expect(log).toEqual(["build a", "build b", "close a, b in place"]);
    await secrets.close();
    expect(log.at(-1)).toBe("close b, b in place");
    await derived.close();
    expect(log).toHaveLength(4);
  });

  it("is not rebuilt by changes that leave the current value as it is", async () => {
    const secrets = fakeSecrets({ s: { "0": "a", "5": "b" } });
    const builds: string[] = [];
    await secrets.handle("s").derived(({ value }) => builds.push(value.text()));
    secrets.rotate("s", "below", 3);
    secrets.delete("s");
    secrets.rotate("s", "b", 5);
    secrets.rotate("s", "c", 6);
    await eventually(() => builds.includes("c"));
    expect(builds).toEqual(["b", "c"]);
    await secrets.close();
  });

  it("keeps the old one while building fails, and tries again", async () => {
    const secrets = fakeSecrets({ s: "a" });
    let refuse = true;
    let attempts = 0;
    const derived = await secrets.handle("s").derived(({ value }) => {
      attempts++;
      if (value.text() === "b" && refuse) throw new Error("the database is down");
      return value.text();
    });
    secrets.rotate("s", "b");
    await eventually(() => attempts >= 3);
    expect(derived.get()).toBe("a");
    refuse = false;
    await eventually(() => derived.get() === "b");
    await secrets.close();
  });

  it("gives the first failure to the caller", async () => {
    const secrets = fakeSecrets({ s: "a" });
    const failing = secrets.handle("s").derived(() => {
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
  });

  it("skips values that came and went while it was building", async () => {
    const secrets = fakeSecrets({ s: "v0" });
    const builds: string[] = [];
    let release = (): void => {};
    const derived = await secrets.handle("s").derived(async ({ value }) => {
      builds.push(value.text());
      if (value.text() === "v1") await new Promise<void>((resolve) => (release = resolve));
      return value.text();
    });
    secrets.rotate("s", "v1");
    await eventually(() => builds.length === 2);
    secrets.rotate("s", "v2");
    secrets.rotate("s", "v3");
    release();
    await eventually(() => derived.get() === "v3");
    expect(builds).toEqual(["v0", "v1", "v3"]);
    await secrets.close();
  });
});
