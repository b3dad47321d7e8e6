import { styleText } from "node:util";
import type { SecretValue } from "../../clients/typescript/src/index.ts";

export type Style = Parameters<typeof styleText>[0];

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where results go. Standard output carries results alone; notes and errors go to standard error. */
export class Output {
  readonly json: boolean;
  readonly #colors: boolean;

  constructor(format: "human" | "json") {
    this.json = format === "json";
    this.#colors = mayColor(process.stdout);
  }

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** One JSON document on one line: numbers of 64 bits as strings, times as RFC 3339. */
  document(value: unknown): void {
    this.line(toJson(value));
  }

  /** The document with `--output json`, and what `human` prints otherwise. */
  result(value: unknown, human: () => void): void {
    if (this.json) this.document(value);
    else human();
  }

  /** A value's very bytes; only a person at a terminal gets a newline after them. */
  value(value: SecretValue): void {
    process.stdout.write(value.bytes());
    if (process.stdout.isTTY) process.stdout.write("\n");
  }

  /** Columns as wide as their widest cell. */
  table(rows: readonly (readonly string[])[]): void {
    const columns = Math.max(...rows.map((row) => row.length));
    const widths = Array.from({ length: columns }, (_, at) =>
      Math.max(...rows.map((row) => row[at]?.length ?? 0)),
    );
    for (const row of rows) {
      const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0));
      this.line(cells.join("  ").trimEnd());
    }
  }

  /** Something to know that is no result. */
  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  paint(style: Style, text: string): string {
    return this.#colors ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Colours are for people at a terminal who did not say no (https://no-color.org). */
export function mayColor(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? each.toString() : each));
}

/** A value in a document: always as base64, and as text where it is text. */
export function valueFields(value: SecretValue): { value: string; text?: string } {
  const bytes = value.bytes();
  const fields = { value: Buffer.from(bytes).toString("base64") };
  try {
    return { ...fields, text: utf8.decode(bytes) };
  } catch {
    return fields;
  }
}

/** A value on one line: as a JSON string where it is text, else as base64. */
export function valueOnOneLine(value: SecretValue): string {
  const { value: base64, text } = valueFields(value);
  return text === undefined ? `base64:${base64}` : JSON.stringify(text);
}

export function count(n: number | bigint, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 || n === 1n ? one : many}`;
}

/** `2025-03-12 14:44:57Z` */
export function time(date: Date | undefined): string {
  return date === undefined
    ? "-"
    : date
        .toISOString()
        .replace("T", " ")
        .replace(/\.\d+Z$/, "Z");
}
