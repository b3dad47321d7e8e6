import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Alarms } from "../../src/core/alarms.ts";
import { Bell } from "../../src/core/bell.ts";
import type { Head } from "../../src/storage/records.ts";

/** How the bell shares the turns of the event loop among streams. These turns are counted; nothing depends on time. */
const NAME = "a/secret";
const HEAD = {} as Head;

afterEach(() => vi.useRealTimers());

/** A stream that is told at once whenever it is woken, and waits again, as watches do. */
interface Stream {
  readonly connection: string;
  /** The turn of the first ring that it has not been woken for. */
  rung: number | undefined;
  /** The most turns from a ring until it was woken for it. */
  longest: number;
}

class World {
  readonly bell = new Bell(new Alarms(), () => HEAD);
  readonly streams: Stream[] = [];
  turn = 0;
  /** Whose streams were woken in each turn, in the order in which they were. */
  readonly turns: string[][] = [];
  readonly #end = new AbortController();

  /** So many streams for each connection; the connections take turns to open one, so that theirs lie among each other. */
  open(streams: Readonly<Record<string, number>>): void {
    for (let index = 0; index < Math.max(...Object.values(streams)); index++) {
      for (const [connection, count] of Object.entries(streams)) if (index < count) this.#openOne(connection);
    }
  }

  #openOne(connection: string): void {
    const stream: Stream = { connection, rung: undefined, longest: 0 };
    const call = { connection, signal: this.#end.signal };
    const subscription = this.bell.subscribe([NAME], call);
    const wait = () => {
      subscription.arm();
      subscription.onWake(60_000, told);
    };
    const told = () => {
      if (this.#end.signal.aborted) return subscription.close();
      this.turns[this.turn] ??= [];
      this.turns[this.turn]?.push(connection);
      if (stream.rung !== undefined) stream.longest = Math.max(stream.longest, this.turn - stream.rung);
      stream.rung = undefined;
      queueMicrotask(wait);
    };
    wait();
    this.streams.push(stream);
  }

  ring(): void {
    for (const stream of this.streams) stream.rung ??= this.turn;
    this.bell.ring(new Set([NAME]));
  }

  /** Lets the event loop turn so often; `before` each turn. */
  async run(turns: number, before: (turn: number) => void = () => {}): Promise<void> {
    for (let count = 0; count < turns; count++) {
      before(count);
      this.turn += 1;
      await nextTurn();
    }
  }

  /** The most turns that a stream has waited from a ring until it was woken, or until now; of a connection, or of all. */
  longest(connection?: string): number {
    const streams = this.streams.filter(
      (stream) => connection === undefined || stream.connection === connection,
    );
    return Math.max(
      ...streams.map(({ longest, rung }) => Math.max(longest, this.turn - (rung ?? this.turn))),
    );
  }

  /** How many streams were woken in each turn so far. */
  get counts(): number[] {
    return Array.from({ length: this.turn + 1 }, (_, turn) => this.turns[turn]?.length ?? 0);
  }

  end(): void {
    this.#end.abort();
  }
}

const connections = (count: number, streams: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`10.0.0.1:${index}`, streams]));

describe("a stream is woken within so many turns of a ring, whatever rings and calls come beside (W6, W13)", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("with a ring every %i turns", async (every) => {
    const world = new World();
    world.open(connections(10, 100));
    await world.run(300, (turn) => {
      world.bell.makeRoom();
      if (turn % every === 0) world.ring();
    });
    // Ten connections of which each has at most 128 woken in a row, 16 in a turn.
    expect(world.longest()).toBeLessThanOrEqual(10 * 8 + 1);
    expect(Math.max(...world.counts)).toBe(16);
    world.end();
  });

  it("when another connection has a thousand that are always due", async () => {
    const world = new World();
    world.open({ crowd: 1_000, one: 1, few: 15 });
    await world.run(200, () => {
      world.bell.makeRoom();
      world.ring();
    });
    // The crowd's row of 128, and the two.
    expect(world.longest("one")).toBeLessThanOrEqual(8 + 1);
    expect(world.longest("few")).toBeLessThanOrEqual(8 + 1);
    expect(world.longest("crowd")).toBeLessThanOrEqual(8 * (8 + 1) + 1);
    world.end();
  });
});

describe("a turn", () => {
  it("wakes 64, and 16 for 20 ms after a call that makes room", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const world = new World();
    world.open(connections(5, 100));
    const wokenInATurn = async () => {
      world.ring();
      await world.run(1);
      return world.counts.at(-1);
    };
    expect(await wokenInATurn()).toBe(64);
    world.bell.makeRoom();
    expect(await wokenInATurn()).toBe(16);
    vi.advanceTimersByTime(19);
    expect(await wokenInATurn()).toBe(16);
    vi.advanceTimersByTime(1);
    expect(await wokenInATurn()).toBe(64);
    world.end();
  });

  it("and the next wake streams of one connection together, whatever the order in which they were opened", async () => {
    const world = new World();
    world.open(connections(4, 100));
    world.ring();
    await world.run(7);
    expect(world.counts).toEqual([0, 64, 64, 64, 64, 64, 64, 16]);
    const woken = world.turns.flat();
    const rows = woken.filter((connection, index) => connection !== woken[index - 1]);
    expect(rows).toEqual(Object.keys(connections(4, 100)));
    world.end();
  });

  it("is shared by connections with few streams", async () => {
    const world = new World();
    world.open(connections(100, 1));
    world.ring();
    await world.run(3);
    expect(world.counts).toEqual([0, 64, 36, 0]);
    world.end();
  });
});
