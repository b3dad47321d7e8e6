import type { SlotsError } from "../../../clients/typescript/src/index.ts";

const REFUSALS: readonly string[] = ["UNAUTHENTICATED", "PERMISSION_DENIED"];

/** Says once for each loss that new values do not come at the moment; attempts that fail meanwhile are not news. */
export class LossNotice {
  readonly #note: (text: string) => void;
  readonly #ageMs: () => number | undefined;
  #said: { readonly code: string; readonly at: number } | undefined;

  /** `ageMs`: how long ago the server was last heard. */
  constructor(note: (text: string) => void, ageMs: () => number | undefined) {
    this.#note = note;
    this.#ageMs = ageMs;
  }

  lost(error: SlotsError | undefined): void {
    const code = error?.code ?? "UNAVAILABLE";
    const now = performance.now();
    const heardAt = now - (this.#ageMs() ?? Number.POSITIVE_INFINITY);
    if (this.#said?.code === code && heardAt <= this.#said.at) return;
    this.#said = { code, at: now };
    const message = error?.message ?? "the stream ended";
    this.#note(
      REFUSALS.includes(code)
        ? `the server refuses this identity (${code}: ${message}); the command keeps running with the values it has, ` +
            "and no new ones come until the token or the policy is put right"
        : `the server can't be reached (${message}); the command keeps running with the values it has`,
    );
  }
}
