import { type Wire, WireError } from "../../support/wire.ts";
import type { Random } from "./random.ts";
import type { Moment } from "./recorded-run.ts";
import { changeRecord, deliveryRecord, readRecord } from "./stored-audit.ts";
import { readContents, Writer } from "./writer.ts";

const WRITERS = 6;

export interface CrowdOptions {
  readonly random: Random;
  /** Told of each change and disclosure that came out of the server, as its record is named. */
  readonly tell: (record: string) => void;
  /** Whether each write is followed by a read, and each secret is watched. */
  readonly discloses?: boolean;
  /** What is put staged over a staged value can't be read: after a kill nobody could tell which of them is there. */
  readonly stages?: boolean;
}

/** Writers that know what they were answered and when, over all the lives of a server. */
export class Crowd {
  /** Of each secret, from the beginning on. */
  readonly histories: ReadonlyMap<string, Moment[]>;
  readonly #writers: readonly Writer[];
  readonly #tell: (record: string) => void;
  readonly #discloses: boolean;

  constructor({ random, tell, discloses = false, stages = true }: CrowdOptions) {
    const options = { maxBytes: 12_000, stages };
    this.#writers = Array.from(
      { length: WRITERS },
      (_, index) => new Writer(`w/${index}`, random.fork(), options),
    );
    this.histories = new Map(
      this.#writers.map(({ name }) => [name, [{ contents: new Map(), asked: 0, answered: 0 }]]),
    );
    this.#tell = tell;
    this.#discloses = discloses;
  }

  /** Has all of them make so many changes, which must not fail. */
  async write(wire: Wire, changes: number): Promise<void> {
    await this.#while(wire, async (writer) => {
      for (let step = 0; step < changes / WRITERS; step += 1) {
        const error = await this.#change(wire, writer);
        if (error !== undefined) throw error;
      }
    });
  }

  /** Has all of them write on until a call of theirs fails; calls `cut` once there were so many changes. */
  async writeUntilCut(wire: Wire, changes: number, cut: () => void): Promise<void> {
    let left = changes;
    await this.#while(wire, async (writer) => {
      while ((await this.#change(wire, writer)) === undefined) {
        left -= 1;
        if (left === 0) cut();
      }
    });
  }

  /** Reads everything back, after which nothing is in doubt any more. */
  async readBack(wire: Wire): Promise<void> {
    for (const { name, ledger } of this.#writers) {
      const asked = Date.now();
      const problem = ledger.settle(await readContents(wire, name));
      if (problem !== undefined) throw new Error(problem);
      this.histories.get(name)?.push({ contents: ledger.known, asked, answered: Date.now() + 1 });
    }
  }

  async #while(wire: Wire, each: (writer: Writer) => Promise<void>): Promise<void> {
    const watches = this.#discloses ? this.#writers.map(({ name }) => this.#listen(wire, name)) : [];
    await Promise.all(this.#writers.map(each));
    for (const watch of watches) watch.cancel();
  }

  async #change(wire: Wire, writer: Writer): Promise<WireError | undefined> {
    const asked = Date.now();
    const error = await writer.step(wire);
    const history = this.histories.get(writer.name);
    if (error !== undefined) {
      const contents = writer.ledger.possible.at(-1) ?? new Map();
      history?.push({ contents, asked, answered: Number.POSITIVE_INFINITY });
      return error;
    }
    history?.push({ contents: writer.ledger.known, asked, answered: Date.now() + 1 });
    this.#tell(changeRecord(writer.revision));
    return this.#discloses ? this.#read(wire, writer.name) : undefined;
  }

  async #read(wire: Wire, name: string): Promise<WireError | undefined> {
    try {
      const { slot = 0n } = await wire.get(name);
      this.#tell(readRecord(name, slot));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (error.code !== "NOT_FOUND") return error;
    }
    return undefined;
  }

  #listen(wire: Wire, name: string): { cancel(): void } {
    const stream = wire.watch(name, { allowMissing: true });
    void (async () => {
      for await (const { event, revision } of stream) {
        if (event.case === "current" || event.case === "absent") this.#tell(deliveryRecord(name, revision));
      }
    })().catch(() => {});
    return stream;
  }
}
