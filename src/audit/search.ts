import { stat } from "node:fs/promises";
import { FolderBell } from "./folder-bell.ts";
import { NewestRecords } from "./newest-records.ts";
import { SegmentCursor } from "./segment-cursor.ts";
import { listSegments, type SegmentName } from "./segment-name.ts";

/** Which records to find. What is left out matches all. */
export interface AuditFilter {
  readonly secret?: string | undefined;
  /** Also finds deliveries to a stream of this principal. */
  readonly principal?: string | undefined;
  readonly slot?: bigint | undefined;
  /** At or after, Unix milliseconds. */
  readonly start?: number | undefined;
  /** Before, Unix milliseconds. */
  readonly end?: number | undefined;
  /** Only records of commits above this revision. */
  readonly changesAfter?: bigint | undefined;
  /**
   * Passes over files that nothing was written to since, Unix milliseconds by the file system's own clock: for who may
   * miss a record, and can't wait for whole files to be read.
   */
  readonly writtenSince?: number | undefined;
  /** Only the newest so many; 0 or left out for all. At most 10,000. */
  readonly limit?: number | undefined;
  /** Go on with new records until `signal` aborts. */
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const MAX_SEARCH_LIMIT = 10_000;

/** A record as it stands in the log. */
export interface LoggedRecord {
  /** The line: one JSON object. */
  readonly json: string;
  /** Unix milliseconds. */
  readonly time: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

const END = Buffer.from('"kind":"end"');
const NOT_RECORDS: readonly unknown[] = ["segment", "end"];

/** Undefined for the log's own lines and for what isn't a line; finding that out is for `verifyAudit`. */
export function parseRecord(json: string): LoggedRecord | undefined {
  try {
    const fields: unknown = JSON.parse(json);
    if (typeof fields !== "object" || fields === null) return undefined;
    const { kind, time } = fields as Record<string, unknown>;
    const at = typeof time === "string" ? Date.parse(time) : Number.NaN;
    if (Number.isNaN(at) || typeof kind !== "string" || NOT_RECORDS.includes(kind)) return undefined;
    return { json, time: at, fields: fields as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

export function matcher(filter: AuditFilter): (record: LoggedRecord) => boolean {
  const { secret, principal, slot, start, end, changesAfter } = filter;
  return ({ fields, time }) =>
    (secret === undefined || fields.secret === secret) &&
    (principal === undefined || fields.principal === principal || streamsOf(fields).includes(principal)) &&
    (slot === undefined || fields.slot === slot.toString()) &&
    (start === undefined || time >= start) &&
    (end === undefined || time < end) &&
    (changesAfter === undefined || (fields.changed === true && revisionOf(fields) > changesAfter));
}

function revisionOf({ revision }: Readonly<Record<string, unknown>>): bigint {
  return typeof revision === "string" && /^[0-9]{1,19}$/.test(revision) ? BigInt(revision) : 0n;
}

function streamsOf(fields: Readonly<Record<string, unknown>>): readonly unknown[] {
  return Array.isArray(fields.streams) ? fields.streams.map((stream) => stream?.principal) : [];
}

/**
 * Records in the log's folder, oldest first by time over all chains; with `limit` the newest so many. Reads
 * segments as streams: memory is bounded by the limit and one chunk for each chain that was written at once.
 */
export async function* searchAudit(directory: string, filter: AuditFilter): AsyncGenerator<LoggedRecord> {
  const search = new Search(directory, filter);
  yield* filter.limit ? search.newest(Math.min(filter.limit, MAX_SEARCH_LIMIT)) : search.all();
  if (filter.follow) yield* search.follow();
}

class Search {
  readonly #directory: string;
  readonly #filter: AuditFilter;
  readonly #matches: (record: LoggedRecord) => boolean;
  /** What a line must have in it to be worth parsing. */
  readonly #needles: readonly Buffer[];
  /** How far each segment was read. */
  readonly #cursors = new Map<string, SegmentCursor>();
  /** Segments to which nothing is added any more, and that were read or passed over. */
  readonly #done = new Set<string>();

  constructor(directory: string, filter: AuditFilter) {
    this.#directory = directory;
    this.#filter = filter;
    this.#matches = matcher(filter);
    const { secret, principal, slot, changesAfter } = filter;
    const needles = [];
    if (secret !== undefined) needles.push(`"secret":${JSON.stringify(secret)}`);
    if (principal !== undefined) needles.push(`"principal":${JSON.stringify(principal)}`);
    if (slot !== undefined) needles.push(`"slot":"${slot}"`);
    if (changesAfter !== undefined) needles.push('"changed":true');
    this.#needles = needles.map((needle) => Buffer.from(needle));
  }

  /** A merge by time of the chains, each of which is in order but for steps of the clock. */
  async *all(): AsyncGenerator<LoggedRecord> {
    const waiting = [...(await listSegments(this.#directory)).values()].sort(
      (a, b) => a[0]!.time - b[0]!.time,
    );
    const open: { next: LoggedRecord; rest: AsyncGenerator<LoggedRecord> }[] = [];
    try {
      while (waiting.length > 0 || open.length > 0) {
        const oldest = open.reduce((least, { next }) => Math.min(least, next.time), Number.POSITIVE_INFINITY);
        // A chain is opened only when its turn may have come: most are long over.
        if (waiting[0] !== undefined && waiting[0][0]!.time <= oldest) {
          const rest = this.#chain(waiting.shift()!);
          const { value } = await rest.next();
          if (value !== undefined) open.push({ next: value, rest });
          continue;
        }
        const at = open.findIndex(({ next }) => next.time === oldest);
        const source = open[at]!;
        yield source.next;
        const { value } = await source.rest.next();
        if (value === undefined) open.splice(at, 1);
        else source.next = value;
      }
    } finally {
      // Whoever stops to listen leaves chains half read, each with its file open.
      for (const { rest } of open) await rest.return(undefined);
    }
  }

  async *newest(limit: number): AsyncGenerator<LoggedRecord> {
    const segments: { segment: SegmentName; latest: number; last: boolean }[] = [];
    for (const chain of (await listSegments(this.#directory)).values()) {
      for (const [index, segment] of chain.entries()) {
        const next = chain[index + 1];
        segments.push({ segment, latest: await latestOf(next), last: next === undefined });
      }
    }
    segments.sort((a, b) => b.latest - a.latest);
    const newest = new NewestRecords(limit);
    for (const { segment, latest, last } of segments) {
      if (newest.isAbove(latest)) this.#done.add(segment.path);
      else for await (const record of this.#segment(segment, last)) newest.add(record);
    }
    yield* newest.take();
  }

  async *follow(): AsyncGenerator<LoggedRecord> {
    const { signal } = this.#filter;
    const bell = new FolderBell(this.#directory, signal);
    try {
      while (!signal?.aborted) {
        const rings = bell.rings;
        const found: LoggedRecord[] = [];
        for (const chain of (await listSegments(this.#directory)).values()) {
          for (const segment of chain) {
            for await (const record of this.#segment(segment, segment === chain.at(-1))) found.push(record);
          }
        }
        yield* found.sort((a, b) => a.time - b.time);
        await bell.rungSince(rings);
      }
    } finally {
      bell.close();
    }
  }

  async *#chain(segments: readonly SegmentName[]): AsyncGenerator<LoggedRecord> {
    for (const [index, segment] of segments.entries()) {
      const { start, writtenSince } = this.#filter;
      const next = segments[index + 1];
      if (start !== undefined && (await latestOf(next)) < start) this.#done.add(segment.path);
      else if (writtenSince !== undefined && (await lastWritten(segment)) < writtenSince) continue;
      else yield* this.#segment(segment, next === undefined);
    }
  }

  async *#segment({ path }: SegmentName, last: boolean): AsyncGenerator<LoggedRecord> {
    if (this.#done.has(path)) return;
    let cursor = this.#cursors.get(path);
    if (cursor === undefined) {
      cursor = new SegmentCursor(path);
      this.#cursors.set(path, cursor);
    }
    try {
      for await (const lines of cursor.read()) {
        if (this.#filter.signal?.aborted) return;
        for (const { bytes } of lines) {
          if (bytes.includes(END)) this.#done.add(path);
          if (!this.#needles.every((needle) => bytes.includes(needle))) continue;
          const record = parseRecord(bytes.toString("utf8"));
          if (record !== undefined && this.#matches(record)) yield record;
        }
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    if (!last) this.#done.add(path);
  }
}

/** Pruned since it was listed: the log has nothing to say of it any more. */
function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** When something was written to a segment; never, once it is gone. */
async function lastWritten({ path }: SegmentName): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isGone(error)) return Number.NEGATIVE_INFINITY;
    throw error;
  }
}

/** No record of a chain before this segment is later: the segment's first line says so. */
async function latestOf(next: SegmentName | undefined): Promise<number> {
  if (next === undefined) return Number.POSITIVE_INFINITY;
  try {
    for await (const [first] of new SegmentCursor(next.path).read()) {
      const latest = Date.parse(JSON.parse(first!.bytes.toString("utf8")).latest);
      if (!Number.isNaN(latest)) return latest;
      break;
    }
  } catch (error) {
    // A damaged line, or a file that was pruned: leave nothing out.
    if ("code" in (error as object) && !isGone(error)) throw error;
  }
  return Number.POSITIVE_INFINITY;
}
