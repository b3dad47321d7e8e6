/** In step with every package's manifest; `scripts/set-version.ts` writes it and a check compares them. */
export const VERSION = "0.1.0";
