const BROKEN = new Set(["UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"]);

/** Whether that code says that a call or stream broke off: a client then asks again. With a reason INTERNAL is a fault (S6). */
export const brokeOff = (code: string): boolean => BROKEN.has(code);
