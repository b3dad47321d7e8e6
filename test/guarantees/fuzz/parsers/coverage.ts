import { type Profiler, Session } from "node:inspector";

/** A place in the source: a function, and how many characters from its beginning. */
export type Place = `${string}:${number}`;

/**
 * Which parts of some modules ran, as V8 itself counts them, block by block. Modules run as they are: nothing is
 * compiled for it, and nothing has to be installed.
 */
export class Coverage {
  readonly #session = new Session();
  readonly #wanted: (url: string) => boolean;
  /** For each function a byte for each character of its source: 1 once the block around it ran. */
  readonly #ran = new Map<string, Uint8Array>();

  /** `wanted`: the modules that count, by their addresses. They must be imported after this. */
  constructor(wanted: (url: string) => boolean) {
    this.#wanted = wanted;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Where something ran since it was last asked that had never run before: the beginning of each such piece. */
  news(): Set<Place> {
    const news = new Set<Place>();
    for (const { id, now } of this.#functions()) {
      const ran = this.#ran.get(id) ?? new Uint8Array(now.length);
      this.#ran.set(id, ran);
      let inside = false;
      for (let at = 0; at < now.length; at += 1) {
        const isNew = now[at] === 1 && ran[at] === 0;
        if (isNew && !inside) news.add(`${id}:${at}`);
        if (isNew) ran[at] = 1;
        inside = isNew;
      }
    }
    return news;
  }

  /** Which of these places ran since it was last asked. */
  ranAgain(places: ReadonlySet<Place>): readonly Place[] {
    const ran = new Map(this.#functions().map(({ id, now }) => [id, now]));
    return [...places].filter((place) => {
      const colon = place.lastIndexOf(":");
      return ran.get(place.slice(0, colon))?.[Number(place.slice(colon + 1))] === 1;
    });
  }

  /** Characters of source that have run. */
  get size(): number {
    let sum = 0;
    for (const ran of this.#ran.values()) for (const byte of ran) sum += byte;
    return sum;
  }

  close(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** Each function that ran since it was last asked, with a byte for each of its characters: 1 where it ran. */
  #functions(): { readonly id: string; readonly now: Uint8Array }[] {
    const { result } = this.#post("Profiler.takePreciseCoverage") as Profiler.TakePreciseCoverageReturnType;
    return result
      .filter(({ url }) => this.#wanted(url))
      .flatMap(({ scriptId, functions }) =>
        functions.flatMap(({ ranges }) => {
          const [whole, ...inner] = ranges;
          if (whole === undefined || whole.count === 0) return [];
          const start = whole.startOffset;
          const now = new Uint8Array(whole.endOffset - start).fill(1);
          // A block that ran as often as the one around it is not listed; what counts is what is left of the zeros.
          for (const { startOffset, endOffset, count } of inner) {
            now.fill(count > 0 ? 1 : 0, startOffset - start, endOffset - start);
          }
          return [{ id: `${scriptId}:${start}`, now }];
        }),
      );
  }

  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    // In its own process a session answers at once.
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
