import { CliError, EXIT, usageError } from "./exit-codes.ts";

const MAX_NUMBER = 2n ** 63n - 1n;

/** A slot or revision as typed: decimal digits, 0 to 2^63-1. */
export function parseNumber(text: string, what: string): bigint {
  const number = /^[0-9]+$/.test(text) ? BigInt(text) : -1n;
  if (number < 0n || number > MAX_NUMBER) {
    throw new CliError(EXIT.invalid, `${what} must be a whole number from 0 to ${MAX_NUMBER}, not '${text}'`);
  }
  return number;
}

/** A point on the slot axis: a number, or a date that stands for its Unix seconds. */
export function parsePoint(text: string, what: string): bigint {
  const date = parseDate(text);
  if (date === undefined) return parseNumber(text, what);
  return parseNumber(String(Math.floor(date.getTime() / 1000)), what);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
  w: 7 * 86_400e3,
};
const DURATION = /^([1-9][0-9]{0,8})([smhdw])$/;

/** `90s`, `15m`, `12h`, `30d`, `8w` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = DURATION.exec(text) ?? [];
  const millis = unit === undefined ? undefined : UNIT_MS[unit];
  return number === undefined || millis === undefined ? undefined : Number(number) * millis;
}

/** A date, or how far from now in the given direction. */
export function parseMoment(text: string, what: string, direction: 1 | -1): Date {
  const duration = parseDuration(text);
  const date = duration === undefined ? parseDate(text) : new Date(Date.now() + direction * duration);
  if (date === undefined || Number.isNaN(date.getTime())) {
    throw usageError(
      `${what}: '${text}' is neither a duration (15m, 12h, 30d) nor a date (2030-01-31T00:00:00Z)`,
    );
  }
  return date;
}

/** An RFC 3339 date, or a day in UTC. */
function parseDate(text: string): Date | undefined {
  const [, day] =
    /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text) ?? [];
  // Date takes the 30th of February for the 2nd of March.
  if (day === undefined || isoDay(new Date(day)) !== day) return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function isoDay(date: Date): string | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, 10);
}

/** For options that may be given more than once. */
export function collect(value: string, all: readonly string[] = []): readonly string[] {
  return [...all, value];
}

/** `LEFT=right`, split at the first `=`. */
export function parsePair(text: string, option: string, shape: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw usageError(`${option}: '${text}' must be ${shape}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
