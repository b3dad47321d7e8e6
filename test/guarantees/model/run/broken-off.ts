const BROKEN = new Set(["UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"]);

/** Whether that code says that a call or stream broke off: a client then asks again. */
export const brokeOff = (code: string): boolean => BROKEN.has(code);
