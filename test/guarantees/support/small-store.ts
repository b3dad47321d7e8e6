import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Keyring } from "../../../src/crypto/keyring.ts";
import type { MasterKey } from "../../../src/crypto/master-key.ts";
import { readMasterKeyFile } from "../../../src/crypto/master-key-file.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { Wire } from "../../support/wire.ts";
import { StoredValues } from "./stored-values.ts";

export const STORE_FILES = ["store.db", "store.db-wal"] as const;
export type StoreFile = (typeof STORE_FILES)[number];

const NAMES = ["flip/a", "flip/b", "flip/c"];
const NUMBERS = [0n, 3n, 5n, 9n];
/** Too long for a page of the database. */
const LONG = 6000;
const WAL_HEADER = 32;
const FRAME_HEADER = 24;

/** What is read at each number of each secret. */
export type Read = ReadonlyMap<string, string>;

/** Bytes of one of the files. */
export interface Region {
  readonly what: string;
  readonly file: StoreFile;
  readonly from: number;
  readonly to: number;
}

/** A store as a kill left it, a part of its writes in the database and a part in the WAL, to be damaged. */
export class SmallStore {
  readonly bytes: Readonly<Record<StoreFile, Buffer>>;
  /** What is read of it while it is whole. */
  readonly now: Read;
  readonly #truths: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #keys: readonly MasterKey[];
  readonly #work: string;

  private constructor(dataDir: string, work: string, keys: readonly MasterKey[], states: readonly Read[]) {
    this.#work = work;
    this.#keys = keys;
    this.bytes = {
      "store.db": readFileSync(join(dataDir, "store.db")),
      "store.db-wal": readFileSync(join(dataDir, "store.db-wal")),
    };
    const truths = new Map<string, Set<string>>();
    for (const state of states) {
      for (const [place, value] of state) truths.set(place, (truths.get(place) ?? new Set()).add(value));
    }
    this.#truths = truths;
    this.now = this.read({});
  }

  /** Half of the writes go into the database; the rest stay in the WAL of a server that is killed. Empty folders. */
  static async make(dataDir: string, work: string): Promise<SmallStore> {
    const server = await ServerProcess.start({ dataDir });
    await overwrite(server, 0);
    if ((await server.stop()).code !== 0) throw new Error("it did not stop in order");
    const keys = readMasterKeyFile(join(dataDir, "master.key"));
    const states: Read[] = [];
    const look = () => {
      const copy = join(work, "copy");
      rmSync(copy, { recursive: true, force: true });
      mkdirSync(copy);
      for (const file of STORE_FILES) {
        if (existsSync(join(dataDir, file))) cpSync(join(dataDir, file), join(copy, file));
      }
      states.push(readStore(copy, keys));
    };
    look();
    const second = await ServerProcess.start({ dataDir });
    await overwrite(second, 1, look);
    // What was overwritten is erased from the WAL soon after; only then does what is put stay there.
    await waitFor("an empty WAL", () => statSync(join(dataDir, "store.db-wal")).size === 0);
    const wire = new Wire(second.address, second.adminToken);
    for (const [index, name] of NAMES.entries()) {
      await wire.put(name, [1n, 4n, 5n][index]!, `${name} put once`);
      look();
    }
    wire.close();
    await second.kill();
    return new SmallStore(dataDir, work, keys, states);
  }

  /** The pages of the database. */
  get pages(): readonly Region[] {
    const size = this.#pageSize;
    return Array.from({ length: this.bytes["store.db"].length / size }, (_, page) => ({
      ...{ what: `page ${page + 1}`, file: "store.db" as const },
      ...{ from: page * size, to: (page + 1) * size },
    }));
  }

  /** The header of the WAL, and of each frame its own header and its page. */
  get frames(): readonly Region[] {
    const file = "store.db-wal" as const;
    const length = FRAME_HEADER + this.#pageSize;
    const count = (this.bytes[file].length - WAL_HEADER) / length;
    return [
      { what: "the WAL's header", file, from: 0, to: WAL_HEADER },
      ...Array.from({ length: count }, (_, frame) => {
        const from = WAL_HEADER + frame * length;
        const page = from + FRAME_HEADER;
        return [
          { what: `header of frame ${frame}`, file, from, to: page },
          { what: `page of frame ${frame}`, file, from: page, to: from + length },
        ];
      }).flat(),
    ];
  }

  /** Where `read` put the files. */
  get copy(): string {
    return join(this.#work, "copy");
  }

  /**
   * What is read of a copy whose files are these instead; undefined for none. Throws what a server would refuse to
   * start with.
   */
  read(instead: Readonly<Partial<Record<StoreFile, Buffer | undefined>>>): Read {
    const files = { ...this.bytes, ...instead };
    rmSync(this.copy, { recursive: true, force: true });
    mkdirSync(this.copy);
    for (const file of STORE_FILES) {
      const bytes: Buffer | undefined = files[file];
      if (bytes !== undefined) writeFileSync(join(this.copy, file), bytes);
    }
    return readStore(this.copy, this.#keys);
  }

  /** What was read that nobody was ever right to read there. */
  falsehoods(read: Read): readonly string[] {
    return [...read]
      .filter(([place, value]) => value !== "damaged" && !this.#truths.get(place)?.has(value))
      .map(([place, value]) => `${place} reads ${value}`);
  }

  get #pageSize(): number {
    return this.bytes["store.db"].readUInt16BE(16);
  }
}

function readStore(dataDir: string, keys: readonly MasterKey[]): Read {
  const store = StoredValues.open(dataDir, new Keyring(keys));
  if (store === undefined) throw new Error("there is no store");
  try {
    return new Map(
      NAMES.flatMap((name) =>
        NUMBERS.map((number) => [`${name} ${number}`, store.effectiveAt(name, number)]),
      ),
    );
  } finally {
    store.close();
  }
}

async function overwrite(server: ServerProcess, round: number, each: () => void = () => {}): Promise<void> {
  const wire = new Wire(server.address, server.adminToken);
  for (const slot of [0n, 3n, 9n]) {
    for (const [index, name] of NAMES.entries()) {
      const length = index === 1 && slot === 3n ? LONG : 40;
      await wire.put(name, slot, `${name} ${slot} ${round} `.padEnd(length, "."), { overwrite: true });
      each();
    }
  }
  wire.close();
}
