import { readFileSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Content } from "./disk.ts";
import type { Contents } from "./ledger.ts";
import type { RecordedCall } from "./recording.ts";

/** What a secret held, and when it was asked for and answered, Unix milliseconds; never answered: infinite. */
export interface Moment {
  readonly contents: Contents;
  readonly asked: number;
  readonly answered: number;
}

/** Something that somebody outside knows, and since when, Unix milliseconds. */
export interface Told {
  readonly what: string;
  readonly time: number;
}

/** All that there is to know of a recording; plain data, so that it can be kept. */
export interface RecordedRun {
  /** The folder that was recorded. */
  readonly root: string;
  /** What was there, safe, before the first call. */
  readonly before: Content;
  readonly calls: readonly RecordedCall[];
  /** Of each secret, from the beginning on. */
  readonly histories: ReadonlyMap<string, readonly Moment[]>;
  /** Changes and disclosures, as the audit log's records name them, and what commands said. */
  readonly told: readonly Told[];
}

/** What a secret may hold when the power is cut at that time: all that was answered, and perhaps what was asked. */
export function possibleAt(history: readonly Moment[], time: number): readonly Contents[] {
  const answered = history.findLastIndex((moment) => moment.answered <= time);
  return history
    .filter(({ asked }, index) => index >= answered && asked <= time)
    .map(({ contents }) => contents);
}

/** What was told by that time. */
export function toldBy(run: RecordedRun, time: number): readonly string[] {
  return run.told.filter((told) => told.time <= time).map(({ what }) => what);
}

/** A recording in a file, with more that belongs to it. */
export interface KeptRun<T> {
  readonly run: RecordedRun;
  readonly more: T;
}

export function keepRun<T>(file: string, kept: KeptRun<T>): void {
  writeFileSync(file, gzipSync(serialize(kept)));
}

export function readKeptRun<T>(file: string): KeptRun<T> {
  return deserialize(gunzipSync(readFileSync(file))) as KeptRun<T>;
}
