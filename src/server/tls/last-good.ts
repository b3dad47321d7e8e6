import { readFileSync } from "node:fs";

/** What came of reading files anew. */
export type Refreshed = { readonly kind: "same" | "new" } | { readonly kind: "bad"; readonly why: string };

/** What some files say together, as of the last time that they were good. */
export class LastGood<T> {
  readonly #files: readonly string[];
  readonly #check: (contents: readonly Buffer[]) => T;
  /** What was read last, good or bad: a bad set is told of once, not at every poll. */
  #seen: readonly Buffer[];
  #unreadable = "";
  #value: T;

  /** Throws, as `check` does, when the files are not good to begin with. */
  constructor(files: readonly string[], check: (contents: readonly Buffer[]) => T) {
    this.#files = files;
    this.#check = check;
    this.#seen = this.#read();
    this.#value = check(this.#seen);
  }

  get value(): T {
    return this.#value;
  }

  refresh(): Refreshed {
    let contents: readonly Buffer[];
    try {
      contents = this.#read();
      this.#unreadable = "";
    } catch (error) {
      const why = messageOf(error);
      if (why === this.#unreadable) return { kind: "same" };
      this.#unreadable = why;
      return { kind: "bad", why };
    }
    if (contents.every((content, index) => this.#seen[index]?.equals(content))) return { kind: "same" };
    this.#seen = contents;
    try {
      this.#value = this.#check(contents);
      return { kind: "new" };
    } catch (error) {
      return { kind: "bad", why: messageOf(error) };
    }
  }

  #read(): readonly Buffer[] {
    return this.#files.map((file) => readFileSync(file));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
