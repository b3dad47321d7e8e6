import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** One file of a chain, as its name tells. */
export interface SegmentName {
  readonly path: string;
  readonly file: string;
  readonly chain: string;
  /** From 1. */
  readonly segment: number;
  /** When it was begun, Unix milliseconds. */
  readonly time: number;
}

/** `20260102T030405678Z-<chain>-00000001.jsonl`: names in byte order are in order of time. */
const SHAPE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{32})-(\d{8,10})\.jsonl$/;

export function segmentFile(time: number, chain: string, segment: number): string {
  const stamp = new Date(time).toISOString().replaceAll(/[-:.]/g, "");
  return `${stamp}-${chain}-${String(segment).padStart(8, "0")}.jsonl`;
}

/** The segments in a folder, by chain in order of their first one's time, and by number. Other files are not ours. */
export async function listSegments(directory: string): Promise<ReadonlyMap<string, readonly SegmentName[]>> {
  const chains = new Map<string, SegmentName[]>();
  for (const file of (await readdir(directory)).sort()) {
    const name = parseSegmentFile(directory, file);
    if (name === undefined) continue;
    const chain = chains.get(name.chain);
    if (chain === undefined) chains.set(name.chain, [name]);
    else chain.push(name);
  }
  for (const chain of chains.values()) chain.sort((a, b) => a.segment - b.segment || a.time - b.time);
  return chains;
}

function parseSegmentFile(directory: string, file: string): SegmentName | undefined {
  const parts = SHAPE.exec(file);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, millisecond, chain, segment] = parts;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${millisecond}Z`);
  if (Number.isNaN(time)) return undefined;
  return { path: join(directory, file), file, chain: chain!, segment: Number(segment), time };
}
