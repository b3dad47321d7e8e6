import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { AdminService } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { waitFor } from "../../support/wait-for.ts";
import { Wire } from "../../support/wire.ts";
import { Crowd } from "./crowd.ts";
import { type Planted, planting } from "./planted-losses.ts";
import type { Random } from "./random.ts";
import type { RecordedRun } from "./recorded-run.ts";
import { Recorder } from "./recorder.ts";

export interface Story {
  readonly random: Random;
  readonly planted?: Planted;
  readonly serverArgs?: readonly string[];
  /** Whether what is disclosed is told as well. */
  readonly discloses?: boolean;
}

/** Where the store is in what a story's cuts left; for some below a folder that was made for it. */
export const STORE = "made/data";
export const BACKUP = "store.backup";
export const RESTORED = "made/for/it";
/** Longer than the server waits before it writes the WAL into the database. */
const PAUSE_MS = 1500;
const RESERVE = ["--audit-reserve-bytes", "3145728"];
const PIECES = ["audit/reserve-00", "audit/reserve-01", "audit/reserve-02"];

async function recorded(story: (recorder: Recorder) => Promise<RecordedRun>): Promise<RecordedRun> {
  const recorder = new Recorder();
  try {
    return await story(recorder);
  } finally {
    recorder.dispose();
  }
}

/** A server from its first start to its end in order. */
export function firstLife({ writes, ...story }: Story & { readonly writes: number }): Promise<RecordedRun> {
  const { random, planted, serverArgs = [], discloses = false } = story;
  return recorded(async (recorder) => {
    const crowd = new Crowd({ random, discloses, tell: (record) => recorder.tell(record) });
    const server = { dataDir: join(recorder.root, STORE), args: serverArgs, env: planting(planted) };
    await recorder.serve(server, async (wire) => {
      await crowd.write(wire, writes / 2);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      await crowd.write(wire, writes / 2);
    });
    return recorder.run(crowd.histories);
  });
}

/**
 * The lives of a store that was there: a first start that is killed once its folders are made; a life that is killed as
 * it writes; one that ends in order; one that is killed again; and the start after that. With `reserve` the audit log
 * has one, which each start makes whole again.
 */
export function laterLives({
  writes,
  reserve = false,
  ...story
}: Story & { readonly writes: number; readonly reserve?: boolean }): Promise<RecordedRun> {
  const { random, planted, discloses = false } = story;
  const serverArgs = [...(story.serverArgs ?? []), ...(reserve ? RESERVE : [])];
  return recorded(async (recorder) => {
    const crowd = new Crowd({ random, discloses, stages: false, tell: (record) => recorder.tell(record) });
    const server = { dataDir: join(recorder.root, STORE), args: serverArgs, env: planting(planted) };
    await recorder.serveKilled({ ...server, env: planting("killed when the folders are made") });
    // The log must have all of its reserve by the time that it needs it.
    const reserved = async () => {
      if (!reserve) return;
      await waitFor("the log's reserve", () =>
        PIECES.every((piece) => existsSync(join(server.dataDir, piece))),
      );
    };
    const killedLife = () =>
      recorder.serve(server, async (wire, process) => {
        await reserved();
        await crowd.readBack(wire);
        await crowd.writeUntilCut(wire, writes / 3, () => process.child.kill("SIGKILL"));
        if (!process.child.killed) throw new Error("a write failed before the server was killed");
      });
    await killedLife();
    await recorder.serve(server, async (wire) => {
      await reserved();
      await crowd.readBack(wire);
      await crowd.write(wire, writes / 3);
    });
    await killedLife();
    await recorder.serve(server, (wire) => crowd.readBack(wire));
    return recorder.run(crowd.histories);
  });
}

/** The words by which a key's life is told. */
export const generated = (keyId: string) => `generated ${keyId}`;
export const retired = (keyId: string) => `retired ${keyId}`;

/** A rotation of the master key beside writers, from the command that makes the new key to the end of the old one. */
export function rotation({ random, planted }: Story): Promise<RecordedRun> {
  const { listMasterKeys, rotateMasterKey, retireMasterKey } = AdminService.method;
  return recorded(async (recorder) => {
    const crowd = new Crowd({ random, tell: (record) => recorder.tell(record) });
    const dataDir = join(recorder.root, STORE);
    let old = "";
    await recorder.serve({ dataDir }, async (wire) => {
      old = (await wire.call(listMasterKeys, {})).keys[0]?.keyId ?? "";
      await crowd.write(wire, 60);
    });
    const made = await recorder.command(
      ["key", "generate", "--file", join(dataDir, "master.key")],
      planting(planted),
    );
    recorder.tell(generated(String(made.keyId)));
    // Small, so that a rotation of few records is one of several batches.
    await recorder.serve({ dataDir, env: planting("small batches") }, async (wire) => {
      let rotating = true;
      const writing = (async () => {
        while (rotating) await crowd.write(wire, 6);
      })();
      for await (const { complete } of wire.stream(rotateMasterKey, {})) rotating &&= !complete;
      rotating = false;
      await writing;
      await wire.call(retireMasterKey, { keyId: old });
      recorder.tell(retired(old));
      await crowd.write(wire, 12);
    });
    return recorder.run(crowd.histories);
  });
}

/** What commands told of a backup. */
export const CREATED = "created";
export const RESTORED_IT = "restored";

/** `slots backup create`, of a store that is not recorded, and `slots backup restore` into folders that are made for it. */
export function backupAndRestore({ random, planted }: Story): Promise<RecordedRun> {
  return recorded(async (recorder) => {
    const server = await ServerProcess.start();
    try {
      const { address, adminToken } = server;
      const crowd = new Crowd({ random, tell: () => {} });
      const wire = new Wire(address, adminToken);
      await crowd.write(wire, 60);
      wire.close();
      for (const name of ["master.key", "admin.token"])
        copyFileSync(join(server.dataDir, name), join(recorder.root, name));
      recorder.adopt();
      const file = join(recorder.root, BACKUP);
      const env = { ...planting(planted), SLOTS_ADDRESS: address, SLOTS_TOKEN: adminToken };
      await recorder.command(["backup", "create", "-o", file], env);
      recorder.tell(CREATED);
      const place = [
        "--data-dir",
        join(recorder.root, RESTORED),
        "--master-key-file",
        join(recorder.root, "master.key"),
      ];
      await recorder.command(["backup", "restore", file, ...place], planting(planted));
      recorder.tell(RESTORED_IT);
      return recorder.run(crowd.histories);
    } finally {
      await server.dispose();
    }
  });
}
