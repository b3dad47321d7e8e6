import type { Emphasis } from "../program.ts";

/** A mistake that a server, or a client of ours, could have: what is written where, and what it is replaced with. */
export interface Bug {
  readonly name: string;
  readonly edits: readonly {
    /** Below `src/`. */
    readonly file: string;
    /** Must stand there exactly once. */
    readonly find: string;
    readonly replace: string;
  }[];
  /** What the programs that look for it do more often. */
  readonly emphasis: Emphasis;
  /** Server processes; 1 where that is enough to show it. */
  readonly servers: number;
}

const bug = (
  name: string,
  emphasis: Emphasis,
  servers: number,
  ...edits: (readonly [string, string, string])[]
): Bug => ({
  name,
  emphasis,
  servers,
  edits: edits.map(([file, find, replace]) => ({ file, find, replace })),
});

/** The sources of the client, from `src/`. */
export const CLIENT = "../clients/typescript/src/";

export const isOfClient = ({ edits }: Bug): boolean => edits.every(({ file }) => file.startsWith(CLIENT));

const WATCH = "core/watch-secret.ts";
const READ_STATE = `    if (woken === undefined) subscription.arm();
    const { head, state } = core.opened.current(name, woken);`;
const WAIT = "    woken = yield { atMostMs: session.atMost(progressIn, core.now) };";
const NEWS = `if (told === "nothing" || state.revision > told) {`;

/** Each must be caught by the model or a validator. None exists in what is published: they are made as the sources load. */
export const BUGS: readonly Bug[] = [
  // What is on disk
  bug(
    "answer before commit",
    "calls",
    1,
    [
      "storage/sqlite/group-writer.ts",
      "      this.#begin.run();",
      "      if (!this.#db.inTransaction) this.#begin.run();",
    ],
    [
      "storage/sqlite/group-writer.ts",
      "      this.#commit.run();",
      `      const commit = () => this.#db.inTransaction && this.#commit.run();
      const later = requests.every((one) => one.kind === "commit" && one.input.mutation.kind === "put-slot");
      if (later) setTimeout(commit, 30);
      else commit();`,
    ],
  ),
  bug(
    "revision not kept over a restart",
    "storm",
    1,
    [
      "storage/sqlite/mutate.ts",
      "  const revision = (before.revision + 1n) as Revision;",
      `  const process = globalThis as { begun?: boolean };
  const lost = process.begun === undefined && before.revision > 4n ? 1n : 0n;
  process.begun = true;
  const revision = (before.revision + 1n - lost) as Revision;`,
    ],
    [
      "storage/sqlite/writer-tables.ts",
      "INSERT INTO changes VALUES",
      "INSERT OR REPLACE INTO changes VALUES",
    ],
  ),
  bug("request id forgotten", "calls", 1, [
    "storage/sqlite/mutate.ts",
    "  if (request !== undefined) tables.saveRequest(principal, rpc, request, result);",
    "",
  ]),
  bug("log of changes kept in memory only", "storm", 1, [
    "core/resume.ts",
    `export function canResume(core: Core, head: Head, point: ResumePoint): boolean {`,
    `let began: bigint | undefined;
export function canResume(core: Core, head: Head, point: ResumePoint): boolean {
  began ??= head.revision;
  if (point.told !== "nothing" && point.told < began) return false;`,
  ]),

  // Calls
  bug("overwrite without asking", "calls", 1, [
    "core/put-slot.ts",
    "if (read.slot === undefined || overwrite) return;",
    "if (Date.now() > 0) return;",
  ]),
  bug(
    "expected revision not compared",
    "calls",
    1,
    [
      "core/put-slot.ts",
      "if (expectedRevision !== undefined && expectedRevision !== revision) throw revisionMismatch(name, revision);",
      "",
    ],
    [
      "core/put-slot.ts",
      "...(request.expectedRevision === undefined ? {} : { expectedRevision: request.expectedRevision }),",
      "",
    ],
  ),
  bug("next index below one that was used", "calls", 1, [
    "storage/sqlite/mutate.ts",
    "lastSlot: row.slot > meta.lastSlot ? row.slot : meta.lastSlot,",
    "lastSlot: row.slot,",
  ]),
  bug("at-rule off by one", "calls", 1, [
    "core/opened-secrets.ts",
    "if ((slots[middle]?.slot ?? at) <= at) low = middle + 1;",
    "if ((slots[middle]?.slot ?? at) < at) low = middle + 1;",
  ]),
  bug("disabled slot served", "calls", 1, [
    "storage/sqlite/reader.ts",
    "WHERE secret_id = +? AND state = 'enabled' AND slot <= ? ORDER BY slot DESC LIMIT 1",
    "WHERE secret_id = +? AND state <> 'destroyed' AND slot <= ? ORDER BY slot DESC LIMIT 1",
  ]),
  bug("old value cached after disable", "calls", 1, [
    "core/opened-secrets.ts",
    "if (change.name !== undefined) names.add(change.name);",
    `if (change.name !== undefined && change.kind !== "slot-disabled") names.add(change.name);`,
  ]),
  bug("cache believed without a look at the store", "calls", 2, [
    "core/opened-secrets.ts",
    "    const head = this.#storage.head();\n    if (head.revision",
    `    const known = globalThis as { lookedAt?: number; seenHead?: Head };
    if (known.seenHead === undefined || Date.now() - (known.lookedAt ?? 0) > 60) {
      known.seenHead = this.#storage.head();
      known.lookedAt = Date.now();
    }
    const head = known.seenHead;
    if (head.revision`,
  ]),

  // Slots
  bug("low put makes a new state", "watches", 1, [
    "storage/sqlite/mutate.ts",
    "stateRevision: currentSlot !== meta.currentSlot || rewritten ? row.revision : meta.stateRevision,",
    "stateRevision: row.revision,",
  ]),
  bug("overwrite of the current slot is no new state", "watches", 1, [
    "storage/sqlite/mutate.ts",
    "const rewritten = currentSlot === row.slot && !sameBytes(old?.versionId, row.versionId);",
    "const rewritten = false;",
  ]),
  bug(
    "order by slot",
    "watches",
    1,
    [WATCH, "  let lastSent = 0;", "  let lastSent = 0;\n  let largest = -1n;"],
    [
      WATCH,
      NEWS,
      `if (told === "nothing" || (state.revision > told && (state.slot?.slot ?? largest) >= largest)) {`,
    ],
    [
      WATCH,
      "      subject.slot = state.slot?.slot;",
      "      subject.slot = state.slot?.slot;\n      largest = subject.slot ?? largest;",
    ],
  ),

  // Watches
  bug(
    "register after snapshot",
    "watches",
    1,
    [
      WATCH,
      "  let lastSent = 0;",
      "  let lastSent = 0;\n  let heard = true;\n  let kept: ReturnType<typeof core.opened.current> | undefined;",
    ],
    [
      WATCH,
      READ_STATE,
      `    if (kept === undefined || heard) kept = core.opened.current(name);
    heard = false;
    const { state } = kept;
    const head = core.opened.sync();`,
    ],
    [
      WATCH,
      WAIT,
      `    yield { settled: new Promise((resolve) => setTimeout(resolve, 15)) };
    subscription.arm();
    const since = Date.now();
    yield { atMostMs: session.atMost(progressIn, core.now) };
    heard = Date.now() - since < core.progressMs - 500;`,
    ],
  ),
  bug("absent never sent", "watches", 1, [
    WATCH,
    NEWS,
    `if (told === "nothing" || (state.revision > told && state.slot !== undefined)) {`,
  ]),
  bug("reborn without absent", "rebirth", 1, [
    WATCH,
    "isReborn(state, told)) {",
    "isReborn(state, told) && Date.now() < 0) {",
  ]),
  bug("conflated mixture", "watches", 1, [
    "core/state-events.ts",
    "    const value = this.#opened.open(name, slot);",
    `    const fresh = this.#opened.open(name, slot);
    const mixed = ((globalThis as { mixed?: Map<string, typeof fresh> }).mixed ??= new Map());
    fresh.hold();
    const value = mixed.get(name) ?? fresh;
    mixed.set(name, fresh);`,
  ]),
  bug("event lost under backpressure", "flood", 1, [
    "server/message-writer.ts",
    "    this.#out.write(message, this.#finish);",
    `      const at = this as unknown as { busy?: boolean };
      if (!at.busy) this.#out.write(message, () => { at.busy = false; });
      at.busy = true;
      this.#finish();`,
  ]),
  bug("a queue for each watcher", "flood", 1, [
    "server/message-writer.ts",
    "    this.#out.write(message, this.#finish);",
    "    this.#out.write(message, () => {});\n    this.#finish();",
  ]),
  bug("one stalled watcher holds up all", "flood", 1, [
    "server/serve-stream.ts",
    "(message, taken) => writer.write(message, taken)",
    `(message, taken) => {
      const all = globalThis as { tail?: Promise<void> };
      all.tail = (all.tail ?? Promise.resolve()).then(() => new Promise((resolve) => writer.write(message, resolve)));
      void all.tail.then(taken);
    }`,
  ]),
  bug("progress too early", "resumes", 1, [
    WATCH,
    NEWS,
    `if ((told === "nothing" || state.revision > told) && !(resume !== undefined && lastSent === 0 && told !== "nothing")) {`,
  ]),

  // Resumes
  bug("duplicate on reconnect", "resumes", 1, [WATCH, "told = resume.told;", `told = "nothing";`]),
  bug("resume off by one", "resumes", 1, [
    WATCH,
    "told = resume.told;",
    `told = resume.told === "nothing" ? resume.told : ((resume.told - 1n) as Revision);`,
  ]),
  bug("other epoch accepted", "epoch", 1, [
    "core/resume.ts",
    "  if (point.epoch !== head.epoch) return false;\n",
    "",
  ]),
  bug("token of the future accepted", "resumes", 1, [
    "core/resume.ts",
    "if (point.told > head.revision) return false;",
    "if (point.told > head.revision) return true;",
  ]),
  bug("token of a diverged copy accepted", "resumes", 1, [
    "core/resume.ts",
    "return Buffer.from(commitId).equals(point.commitId);",
    "return true;",
  ]),
  bug("token older than the kept log accepted for what is remembered", "forget", 1, [
    "core/resume.ts",
    "core.opened.keptCommitIdAt(point.told)",
    "core.opened.commitIdAt(point.told)",
  ]),
  bug("token of another name or call accepted", "resumes", 1, [
    "core/resume-token.ts",
    "if (rpc !== expected.rpc || !digest(expected.subject, 8).equals(body.subarray(43, 51))) {",
    "if (rpc === undefined) {",
  ]),

  // WatchSlots
  bug("synced too early", "sets", 1, [
    "core/watch-slots.ts",
    "          told.set(name, changes.toldUpTo);",
    `          told.set(name, changes.toldUpTo);
          await sent(send, { epoch: head.epoch, revision: head.revision, resumeToken: tokenAt(head), event: { kind: "synced" } });`,
  ]),
  bug("removed never sent", "sets", 1, [
    "core/slot-changes.ts",
    '          yield this.#event(page, slot.revision, { kind: "removed", name, slot: slot.slot });',
    "",
  ]),
  bug("added name without its state", "sets", 1, [
    "core/watch-slots.ts",
    `if (covered.has(digests[index] ?? "")) told.set(name, resume.told);`,
    `if (covered.size >= 0 && index >= 0) told.set(name, resume.told);`,
  ]),

  // Upkeep
  bug("rewrap that skips a row", "keys", 1, [
    "core/master-keys.ts",
    "of page.rows.entries()) {",
    "of page.rows.slice(1).entries()) {",
  ]),
  bug(
    "sealed by a key that another process retired",
    "keys",
    2,
    ["core/opened-secrets.ts", `else if (change.kind === "primary-key-set") this.#followPrimaryKey();`, ""],
    ["storage/sqlite/writer-tables.ts", ".may === 1n;", ".may >= 0n;"],
  ),
  bug("the size of the WAL believed to tell of every commit", "files", 1, [
    "storage/sqlite/reader.ts",
    "const version = this.#dataVersion.get();",
    `const wal = process.getBuiltinModule("node:fs").statSync(\`\${this.#db.name}-wal\`);
      const version = wal.size;`,
  ]),
  bug("restore that keeps the epoch", "restore", 1, [
    "storage/sqlite/restore.ts",
    "const epoch = startNewEpoch(draft);",
    "const { epoch } = inspectFile(draft, size, 0).head;",
  ]),
  bug("backup that leaves a row out", "restore", 1, [
    "storage/sqlite/backup-thread.ts",
    `      db.prepare("VACUUM INTO ?").run(copy);`,
    `      db.prepare("VACUUM INTO ?").run(copy);
      const cut = new Database(copy);
      cut.prepare("DELETE FROM slots WHERE row_id = (SELECT max(row_id) FROM slots WHERE state = 'enabled')").run();
      cut.close();`,
  ]),
  bug("what is kept believed until the clock has moved on", "clock", 1, [
    "core/opened-secrets.ts",
    "    const head = this.#storage.head();\n    if (head.revision",
    `    const known = globalThis as { lookedAt?: number; seenHead?: Head };
    if (known.seenHead === undefined || Date.now() >= (known.lookedAt ?? 0)) {
      known.seenHead = this.#storage.head();
      known.lookedAt = Date.now();
    }
    const head = known.seenHead;
    if (head.revision`,
  ]),
  bug("request id forgotten after half an hour", "clock", 1, [
    "core/limits.ts",
    "24 * 60 * 60 * 1000",
    "30 * 60 * 1000",
  ]),

  // Rights
  bug("stale policy cache", "rights", 1, [
    "core/authorizer.ts",
    "    if (this.#accessRevision >= head.accessRevision && this.#epoch === head.epoch) return;",
    `    const known = globalThis as { readAt?: number };
    if (this.#policies.length > 1 && Date.now() - (known.readAt ?? 0) < 3000) return;
    known.readAt = Date.now();`,
  ]),
  bug("revoked token accepted from the cache", "rights", 1, [
    "core/authenticator.ts",
    "if (cached !== undefined && cached.accessRevision >= head.accessRevision && cached.epoch === head.epoch) {",
    "if (cached !== undefined) {",
  ]),
  bug("delivery after revoke", "rights", 1, [
    WATCH,
    `    session.require(head, name);

    if (first) {`,
    "    if (first) {",
  ]),

  // Our client
  bug("client that shows a change twice", "clients", 1, [
    `${CLIENT}handle.ts`,
    "for (const listener of handle.#listeners) listener.deliver(change);",
    "for (const listener of [...handle.#listeners, ...handle.#listeners]) listener.deliver(change);",
  ]),
  bug(
    "client that goes on from an older state after a reconnect",
    "clients",
    1,
    [
      `${CLIENT}replica.ts`,
      '  #epoch = "";',
      '  #epoch = "";\n  readonly #before = new Map<string, SecretState>();',
    ],
    [
      `${CLIENT}replica.ts`,
      "      this.#states.set(name, current);",
      "      if (previous !== undefined) this.#before.set(name, previous);\n      this.#states.set(name, current);",
    ],
    [
      `${CLIENT}replica.ts`,
      "  streamOpened(): void {",
      "  streamOpened(): void {\n    for (const [name, state] of this.#before) this.#states.set(name, state);",
    ],
  ),
  bug("client that resumes where it began", "clients", 1, [
    `${CLIENT}replica.ts`,
    "    this.#resumeToken = resumeToken;\n    return",
    "    this.#resumeToken ||= resumeToken;\n    return",
  ]),
  bug("client that takes a failure for a sign of life", "clients", 1, [
    `${CLIENT}watch-loop.ts`,
    "      return asSlotsError(error);",
    "      this.#reconnect.heard();\n      return asSlotsError(error);",
  ]),
  bug("client that is gone when its stream is", "clients", 1, [
    `${CLIENT}watch-loop.ts`,
    "      await sleep(this.#reconnect.delayAfter(error), signal);",
    "      return;",
  ]),
];
