/** What an operator may want to read in the log. Holds no value and no name. */
export type StoreEvent =
  /** Destroyed or replaced values are out of the WAL now. */
  | { readonly kind: "wal-truncated"; readonly attempts: number }
  /** A reader is in the way; it is tried again. Told at 1, 2, 4, 8 … attempts. */
  | { readonly kind: "wal-truncation-waits"; readonly attempts: number; readonly nextTryMs: number }
  /** The WAL grows until a later checkpoint succeeds; `code` is SQLite's. */
  | { readonly kind: "checkpoint-failed"; readonly code: string };
