const BROKEN = new Set(["UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"]);

/** How a call or stream that did not succeed ended. `reason` is that of the server's ErrorInfo, "" where it gave none. */
export interface Ended {
  readonly code: string;
  readonly reason?: unknown;
}

/** The server met what it did not expect: it gives that a reason. INTERNAL without one is a client's library, about its connection. */
export const isFault = ({ code, reason }: Ended): boolean => code === "INTERNAL" && reason === "INTERNAL";

/** It broke off: a client then asks again. */
export const brokeOff = (ended: Ended): boolean => BROKEN.has(ended.code) && !isFault(ended);
