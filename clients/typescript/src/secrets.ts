import { release, type SecretHandle } from "./handle.ts";
import { notDeclared } from "./secret-state.ts";

/** What keeps a set up to date. */
export type Source = {
  ageMs(): number | undefined;
  stale(): boolean;
  close(): Promise<void>;
};

/** The handles of one open: all of them always newest, over one stream. */
export class Secrets {
  readonly #handles: ReadonlyMap<string, SecretHandle>;
  readonly #source: Source;
  readonly #alsoClosing: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  constructor(handles: ReadonlyMap<string, SecretHandle>, source: Source) {
    this.#handles = handles;
    this.#source = source;
  }

  /** The declared names. */
  get names(): string[] {
    return [...this.#handles.keys()];
  }

  /** The handle of a declared name. */
  handle(name: string): SecretHandle {
    const handle = this.#handles.get(name);
    if (handle === undefined) throw notDeclared(name);
    return handle;
  }

  /** Milliseconds since the server was last heard; undefined when it never was. */
  ageMs(): number | undefined {
    return this.#source.ageMs();
  }

  /** True while the values come from the cache file and the server has not confirmed or replaced them. */
  get stale(): boolean {
    return this.#source.stale();
  }

  /** Ends the stream and closes what was derived. The handles go on answering with what they have. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Runs `close` too when the set is closed. */
  alsoClosing(close: () => void): this {
    this.#alsoClosing.push(close);
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Secrets { names: ${JSON.stringify(this.names)}, stale: ${this.stale} }`;
  }

  async #close(): Promise<void> {
    await this.#source.close();
    await Promise.all([...this.#handles.values()].map(release));
    for (const close of this.#alsoClosing) close();
  }
}
