import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { file_secretslots_v1_admin_service as adminFile } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { file_secretslots_v1_secret_service as secretFile } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { ERROR_CODES, REASONS } from "../../src/domain/errors.ts";
import { SETTINGS, type SettingName, variableOf } from "../../src/settings.ts";
import { namedCommands, slotsProgram } from "./program.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

/** What there is, by the kind of name. */
const commands = namedCommands();
const flags = new Map(commands.map(({ path, command }) => [path, flagsOf(command.options)]));
const sharedFlags = flagsOf(slotsProgram().options);
const allFlags = new Set([...flags.values()].flat().concat(sharedFlags, "--help", "--version"));
const services = [adminFile, secretFile].flatMap((file) => file.services);
const rpcs = services.flatMap((service) => service.methods.map((method) => method.name));
const messages = [adminFile, secretFile].flatMap((file) => file.messages);
const enums = [adminFile, secretFile].flatMap((file) => file.enums);
const types = [...services, ...messages, ...enums].map(({ name }) => name);
const fields = new Set(messages.flatMap((message: DescMessage) => message.fields.map((field) => field.name)));
const constants = new Set<string>([
  ...ERROR_CODES,
  "OUT_OF_RANGE",
  ...Object.keys(REASONS),
  ...enums.flatMap((each: DescEnum) => each.values.flatMap(({ name, localName }) => [name, localName])),
]);
const variables = new Set<string>([
  ...(Object.keys(SETTINGS) as SettingName[]).map(variableOf),
  ...[
    "SLOTS_ADDRESS",
    "SLOTS_TOKEN",
    "SLOTS_TOKEN_FILE",
    "SLOTS_CA",
    "SLOTS_CERT",
    "SLOTS_KEY",
    "SLOTS_CONFIG",
  ],
]);
/** The house's own text: names of files, metrics, tables, functions and what clients offer stand there. */
const sources = globSync(
  ["src/**/*.ts", "clients/README.md", "clients/*/src/**/*.{ts,py,rs}", "proto/**/*.proto"],
  {
    cwd: ROOT,
    exclude: (name) => name === "node_modules" || name === "target",
  },
)
  .map(read)
  .join("\n");

function flagsOf(options: readonly { long?: string | undefined; short?: string | undefined }[]): string[] {
  return options.flatMap(({ long, short }) => [long, short].filter((flag) => flag !== undefined));
}

/** Code in a page: spans between backticks, and lines of code blocks. */
function codeOf(text: string): string[] {
  const blocks = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].flatMap(([, block = ""]) =>
    block.split("\n"),
  );
  const indented = text.split("\n").filter((line) => line.startsWith("    "));
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map(
    ([, span = ""]) => span,
  );
  return [...blocks, ...indented, ...spans];
}

/** The runs of `slots` in a piece of code, each as its words. */
function runsOf(code: string): string[][] {
  return code
    .split(/[|;]|&&|#/)
    .map((part) => part.replace(/^[\s$]*(?:npx +)?/, "").split(/\s+/))
    .filter(([program]) => program === "slots");
}

const PAGES = ["README.md", ...globSync("docs/*.md", { cwd: ROOT })];

describe.each(PAGES)("what %s names exists", (page) => {
  const code = codeOf(read(page));
  const words = code.filter((each) => /^\S+$/.test(each));

  it("commands and their flags", () => {
    const unknown: string[] = [];
    for (const run of code.flatMap(runsOf)) {
      const end = run.indexOf("--") < 0 ? run.length : run.indexOf("--");
      const own = run.slice(1, end);
      const verbs = own.filter((word) => /^[a-z]+$/.test(word));
      const [verb = "", sub = ""] = verbs;
      const path = flags.has(`${verb} ${sub}`) ? `${verb} ${sub}` : verb;
      if (verb !== "" && !flags.has(path)) unknown.push(run.join(" "));
      const known = new Set([...(flags.get(path) ?? allFlags), ...sharedFlags, "--help", "--version"]);
      for (const word of own.filter((each) => /^-{1,2}[a-z]/.test(each))) {
        const [flag = ""] = word.split("=");
        if (!known.has(flag)) unknown.push(`${run.join(" ")}: ${flag}`);
      }
    }
    for (const span of code) {
      const [, flag] = /^(--[a-z][a-z-]*)(?:[ =][A-Z<].*)?$/.exec(span) ?? [];
      if (flag !== undefined && !allFlags.has(flag)) unknown.push(flag);
    }
    expect(unknown).toEqual([]);
  });

  it("RPCs and messages", () => {
    const shape =
      /^(?:Get|Put|List|Describe|Update|Disable|Enable|Destroy|Delete|Watch|Create|Revoke|Apply|Rotate|Retire|Search|Check)[A-Z][A-Za-z]+$/;
    const named = words
      .map((word) => word.replace(/^secretslots\.v1\.\w+[./]/, ""))
      .filter((word) => shape.test(word));
    expect(named.filter((name) => ![...rpcs, ...types].includes(name) && !sources.includes(name))).toEqual(
      [],
    );
  });

  it("fields and other names in snake_case", () => {
    const named = words.filter((word) => /^[a-z]+(?:_[a-z0-9]+)+$/.test(word));
    expect(named.filter((name) => !fields.has(name) && !sources.includes(name))).toEqual([]);
  });

  it("constants, reasons and variables", () => {
    const named = words.filter((word) => /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/.test(word));
    const known = (name: string) => constants.has(name) || variables.has(name) || sources.includes(name);
    expect(named.filter((name) => !known(name))).toEqual([]);
  });
});
