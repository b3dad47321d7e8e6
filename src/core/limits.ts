import { MAX_NAME_BYTES } from "../domain/names.ts";

/** The bounds that requests are held to. Sizes in bytes. */
export interface Limits {
  readonly maxValueBytes: number;
  readonly maxSlotsPerSecret: number;
}

export const MAX_VALUE_BYTES_DEFAULT = 65_536;
export const MAX_VALUE_BYTES_HIGHEST = 1_048_576;
export const MAX_SLOTS_PER_SECRET = 10_000;
export const MAX_WATCH_NAMES = 1_000;
export const MAX_PAGE_SIZE = 1_000;
export const DEFAULT_PAGE_SIZE = 100;
/** Keeps a page of metadata below gRPC's 4 MiB. */
export const MAX_PAGE_BYTES = 3 * 1024 * 1024;
/** How long a request id is kept. */
export const REQUEST_ID_MS = 24 * 60 * 60 * 1000;

export { MAX_NAME_BYTES };
