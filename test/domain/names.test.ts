import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSecretName } from "../../src/domain/names.ts";

/** The rule again, in other words: split, and look at each segment and each character. */
function allowed(name: string): boolean {
  const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (name.length < 1 || Buffer.byteLength(name) > 255) return false;
  return name
    .split("/")
    .every(
      (segment) => !["", ".", ".."].includes(segment) && [...segment].every((c) => characters.includes(c)),
    );
}

describe("names of secrets", () => {
  it("are taken when the rule says so, and only then", () => {
    const part = fc.constantFrom(
      "a",
      "Z",
      "9",
      ".",
      "-",
      "_",
      "/",
      "//",
      "..",
      " ",
      "\0",
      "\n",
      "é",
      "а",
      "*",
      "%",
      "\\",
    );
    const name = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join("")),
      fc.string(),
    );
    fc.assert(
      fc.property(name, (text) => {
        expect(isSecretName(text)).toBe(allowed(text));
      }),
      { numRuns: 5000 },
    );
  });

  it("are 1 to 255 bytes", () => {
    expect(isSecretName("a".repeat(255))).toBe(true);
    expect(isSecretName("a".repeat(256))).toBe(false);
    expect(isSecretName("...")).toBe(true);
  });
});
