import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { EXIT, EXIT_OF_CODE } from "../../src/cli/exit-codes.ts";
import { ERROR_CODES } from "../../src/domain/errors.ts";
import { CLI_PAGE, cliPage } from "./cli-reference.ts";

const page = readFileSync(CLI_PAGE, "utf8");

it("documents every command and flag as the program has it (node test/docs/cli-reference.ts)", () => {
  expect(page).toBe(cliPage());
});

it("documents every exit status with the codes that end so", () => {
  const rows = [...page.matchAll(/^\| (\d) \| [^|]+ \| ([A-Z_, ]*)\|$/gm)];
  const documented = rows.map(([, status, codes = ""]) => [
    Number(status),
    codes.split(",").map((code) => code.trim()),
  ]);
  expect(documented.map(([status]) => status)).toEqual(Object.values(EXIT));
  for (const [status, codes] of documented as [number, string[]][]) {
    for (const code of codes.filter((each) => each !== "" && each !== "OK")) {
      expect([code, EXIT_OF_CODE[code as keyof typeof EXIT_OF_CODE]]).toEqual([code, status]);
    }
  }
  expect(ERROR_CODES.filter((code) => !page.includes(code))).toEqual([]);
});
