import type { DriverProcess } from "./driver-process.ts";
import { closeStage, type Outcomes, openStage } from "./play.ts";

const READS_PER_SECOND = "1000";
const ROTATE_EVERY_MS = 100;
const KILLS = 3;
const UP_MS = 2000;
const DOWN_MS = 1000;
/** Every client must be at the last value by then; 5 s after the restart is the goal that is printed. */
const CONVERGED_BOUND_MS = 20_000;
const ANSWER_BOUND_MS = 60_000;
const NAME = "hammer/key";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * All clients read handles while a writer rotates and the server is killed: no read fails, none goes backwards, and
 * after the last restart all have the last value.
 */
export async function hammer(drivers: readonly DriverProcess[]): Promise<Outcomes> {
  const outcomes: Outcomes = new Map(drivers.map(({ title }) => [title, undefined]));
  const stage = await openStage();
  const { server, administrator } = stage;
  const writer = administrator.client;
  const fail = (title: string, message: string): void => {
    if (outcomes.get(title) === undefined) outcomes.set(title, new Error(message));
    console.log(`FAILED ${title}, hammer: ${message}`);
  };
  const forAll = (what: (driver: DriverProcess) => Promise<void>): Promise<unknown> =>
    Promise.all(
      drivers.map((driver) => what(driver).catch((error: Error) => fail(driver.title, error.message))),
    );
  const ask = async (driver: DriverProcess, op: string, members: object, boundMs = ANSWER_BOUND_MS) => {
    const answer = await driver.ask(op, { client: "h", set: "h", ...members }, boundMs);
    if (!answer.ok) throw new Error(`${op}: ${JSON.stringify(answer.error)}`);
    return answer;
  };

  let writing = true;
  let written = 0;
  const rotate = async (): Promise<void> => {
    while (writing) {
      // Without a server the put fails or waits; the next one is the next try.
      await writer
        .putSlot({ name: NAME, autoSlot: "NEXT_INDEX", value: `value ${written + 1}` }, { timeoutMs: 1000 })
        .then(
          () => written++,
          () => {},
        );
      await sleep(ROTATE_EVERY_MS);
    }
  };

  try {
    const token = await server.adminToken();
    await writer.putSlot({ name: NAME, slot: 0, value: "value 0" });
    await forAll(async (driver) => {
      await ask(driver, "connect", { address: server.address, token });
      await ask(driver, "open", { names: [NAME], timeoutMs: "30000" });
      await ask(driver, "hammerStart", { names: [NAME], perSecond: READS_PER_SECOND });
    });
    const rotating = rotate();
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(UP_MS);
      await server.end("SIGKILL");
      await sleep(DOWN_MS);
      if (kill === KILLS - 1) writing = false;
      await server.start();
    }
    const ready = performance.now();
    await rotating;
    await writer.putSlot({ name: NAME, autoSlot: "NEXT_INDEX", value: "last" });
    const value = Buffer.from("last").toString("base64");
    const converged = new Map<string, number>();
    await forAll(async (driver) => {
      const bound = { name: NAME, value, boundMs: String(CONVERGED_BOUND_MS) };
      await ask(driver, "waitFor", bound, CONVERGED_BOUND_MS + ANSWER_BOUND_MS);
      converged.set(driver.title, performance.now() - ready);
    });
    console.log(`\nhammer: ${KILLS} kills, ${written} rotations answered`);
    await forAll(async (driver) => {
      const { reads, failures, backwards, firstFailure } = await ask(driver, "hammerStop", {});
      const after = ((converged.get(driver.title) ?? Number.NaN) / 1000).toFixed(2);
      console.log(
        `${driver.title.padEnd(12)} ${reads} reads, ${failures} failed, ${backwards} backwards, ` +
          `at the last value ${after} s after the restart`,
      );
      if (failures !== "0") fail(driver.title, `${failures} reads failed: ${firstFailure}`);
      if (backwards !== "0") fail(driver.title, `${backwards} reads went backwards`);
      if (BigInt(String(reads)) < 1000n) fail(driver.title, `only ${reads} reads`);
    });
    await forAll(async (driver) => {
      await ask(driver, "closeSet", {});
      await ask(driver, "closeClient", {});
    });
  } finally {
    writing = false;
    await closeStage(stage);
  }
  return outcomes;
}
