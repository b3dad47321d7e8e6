import { readFileSync } from "node:fs";
import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { crc32c } from "../src/crc32c.ts";
import { fakeSecrets, SecretValue, VERSION } from "../src/index.ts";

describe("a secret value", () => {
  const value = new SecretValue("hunter2");

  it("prints [secret] in every form", () => {
    const { handle, secrets } = (() => {
      const fake = fakeSecrets({ s: "hunter2" });
      return { handle: fake.handle("s"), secrets: fake };
    })();
    const forms = [
      `${value}`,
      String(value),
      JSON.stringify({ value }),
      inspect(value, { showHidden: true }),
      inspect({ deep: { value } }, { depth: 9 }),
      format("%s %o %O %j", value, value, value, value),
      inspect(handle.current()),
      inspect(handle.state(), { depth: 9, showHidden: true }),
      inspect(secrets, { depth: 9, showHidden: true }),
      inspect(new Error("x", { cause: handle.current() })),
      JSON.stringify(Object.entries(value)),
    ];
    for (const form of forms) expect(form).not.toMatch(/hunter2|104, ?117|aHVudGVyMg/);
    expect(forms.slice(0, 4)).toEqual(["[secret]", "[secret]", '{"value":"[secret]"}', "[secret]"]);
  });

  it("gives copies of its bytes", () => {
    value.bytes().fill(0);
    expect(value.text()).toBe("hunter2");
  });

  it("compares, and refuses text that is none", () => {
    expect(value.equals("hunter2")).toBe(true);
    expect(value.equals(new SecretValue("hunter3"))).toBe(false);
    expect(value.equals("")).toBe(false);
    expect(() => new SecretValue(Uint8Array.of(0xff)).text()).toThrow(TypeError);
    expect(new SecretValue("\uFEFFx").text()).toBe("\uFEFFx");
  });
});

it("crc32c gives the published check value", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array())).toBe(0);
});

it("the version is the manifest's", () => {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  expect(VERSION).toBe(version);
});
