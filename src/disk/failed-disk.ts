/** Whether there is no room for what was to be written. */
export function isDiskFull(cause: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(codeOf(cause));
}

/** No room, or the disk itself failed: what was to be flushed may be lost, and that must never be taken for anything else (D5). */
export function isFailedDisk(cause: unknown): boolean {
  return isDiskFull(cause) || codeOf(cause) === "EIO";
}

export function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}
