import { Document, isMap, isSeq, LineCounter, type Node, parseDocument, visit } from "yaml";
import { z } from "zod";
import type { Policy } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ACTIONS, type ActionName } from "./access.ts";
import { CliError, EXIT } from "./exit-codes.ts";

const texts = z.array(z.string());
const Rule = z.strictObject({
  actions: z.array(z.enum(Object.keys(ACTIONS) as [ActionName, ...ActionName[]])).min(1),
  names: texts.min(1),
});
const PolicyEntry = z.strictObject({
  name: z.string().min(1),
  comment: z.string().optional(),
  principals: texts.optional(),
  groups: texts.optional(),
  rules: z.array(Rule),
});
const PolicyFile = z.strictObject({ policies: z.array(PolicyEntry) });

/** A policy as it stands in a file; what is empty is left out. */
export type PolicyEntry = z.output<typeof PolicyEntry>;

/** A path into the file, such as `policies`, 0, `rules`. */
export type Path = readonly (string | number)[];

export interface ParsedPolicies {
  readonly policies: readonly PolicyEntry[];
  /** Where a part of the file begins: `FILE:12`, or FILE where that can't be told. */
  readonly place: (path: Path) => string;
}

/** Reads a file of policies. An error names each wrong place by file and line. */
export function parsePolicyText(text: string, file: string): ParsedPolicies {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = counter.linePos(broken.pos[0]);
    throw invalid([`${file}:${line}:${col}: ${broken.message}`]);
  }
  const place = (path: Path): string => {
    const start = nodeAt(document.contents, path)?.range?.[0];
    return start === undefined ? file : `${file}:${counter.linePos(start).line}`;
  };
  const parsed = PolicyFile.safeParse(contentOf(document, file));
  if (parsed.success) return { policies: parsed.data.policies, place };
  throw invalid(
    parsed.error.issues.map(
      ({ path, message }) => `${place(path as Path)}: ${pathText(path as Path)}${message}`,
    ),
  );
}

/** What the text stands for. Aliases are looked up only here: one may name nothing, or stand for too much. */
function contentOf(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid([`${file}: ${error instanceof Error ? error.message : "can't be read"}`]);
  }
}

/** The one text of a set of policies: the same set always gives the same bytes. */
export function formatPolicies(policies: readonly Policy[]): string {
  return textOf({ policies: policies.map(entryOf) });
}

/** One policy alone, for showing and comparing. */
export function formatPolicy(policy: PolicyEntry): string {
  return textOf([policy]);
}

/** Lists of words that fit stand on one line: a rule is read at a glance. */
const LIST_WIDTH = 90;

function textOf(value: unknown): string {
  const document = new Document(value);
  visit(document, {
    Seq: (_, list) => {
      const words: readonly unknown[] = list.toJSON();
      const fits = words.every((word) => typeof word === "string") && words.join(", ").length <= LIST_WIDTH;
      if (fits) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

export function entryOf({ name, comment, principals, groups, rules }: Policy): PolicyEntry {
  const word = (wanted: number) =>
    Object.entries(ACTIONS).find(([, action]) => action === wanted)?.[0] as ActionName;
  return canonical({
    ...{ name, comment, principals, groups },
    rules: rules.map((rule) => ({ actions: rule.actions.map(word), names: rule.names })),
  });
}

/** The order of fields that files are written in, without what is empty. */
export function canonical({ name, comment, principals = [], groups = [], rules }: PolicyEntry): PolicyEntry {
  return {
    name,
    ...(comment ? { comment } : {}),
    ...(principals.length > 0 ? { principals } : {}),
    ...(groups.length > 0 ? { groups } : {}),
    rules: rules.map(({ actions, names }) => ({ actions, names })),
  };
}

export function messageOf({ name, comment = "", principals = [], groups = [], rules }: PolicyEntry) {
  return {
    ...{ name, comment, principals, groups },
    rules: rules.map(({ actions, names }) => ({ actions: actions.map((action) => ACTIONS[action]), names })),
  };
}

/** The server's `policies[2].rules[0].names[1]` as a path. */
export function pathOfField(field: string): Path {
  return field
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}

/** The node at a path, or the nearest one above it. */
function nodeAt(root: unknown, path: Path): Node | undefined {
  let node = root as Node | undefined;
  for (const part of path) {
    const next = isMap(node) || isSeq(node) ? node.get(part, true) : undefined;
    if (next === undefined || next === null) break;
    node = next as Node;
  }
  return node;
}

function pathText(path: Path): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
  return text === "" ? "" : `${text.replace(/^\./, "")}: `;
}

function invalid(faults: readonly string[]): CliError {
  return new CliError(EXIT.invalid, faults.join("\n"));
}
