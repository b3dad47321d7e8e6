import { describe, expect, it } from "vitest";
import { fakeSecrets } from "../src/index.ts";

describe("changes", () => {
  it("gives each change since it was made, until the loop ends", async () => {
    const secrets = fakeSecrets({ s: "a" });
    const changes = secrets.handle("s").changes();
    secrets.rotate("s", "b");
    secrets.rotate("s", "c");
    const seen: string[] = [];
    for await (const { current, previous } of changes) {
      seen.push(`${previous.top?.value.text()}>${current.top?.value.text()}`);
      if (seen.length === 2) break;
    }
    secrets.rotate("s", "d");
    expect(seen).toEqual(["a>b", "b>c"]);
    expect(await changes.next()).toMatchObject({ done: true });
  });

  it("ends when the set is closed, or the signal aborts, also while someone waits", async () => {
    const secrets = fakeSecrets({ s: "a" });
    const abort = new AbortController();
    const waiting = [secrets.handle("s").changes().next(), secrets.handle("s").changes(abort).next()];
    abort.abort();
    expect(await waiting[1]).toMatchObject({ done: true });
    await secrets.close();
    expect(await waiting[0]).toMatchObject({ done: true });
    expect(await secrets.handle("s").changes(abort).next()).toMatchObject({ done: true });
  });
});
