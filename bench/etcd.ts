import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Program, start } from "./process.ts";

/** etcd as a peer to be measured beside: one member, its own defaults. */
export interface Etcd extends Program {
  readonly put: string;
  readonly range: string;
}

export function hasEtcd(): boolean {
  try {
    execFileSync("etcd", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export async function startEtcd(): Promise<Etcd> {
  const folder = mkdtempSync(join(tmpdir(), "slots-bench-etcd-"));
  const [client, peer] = [await freePort(), await freePort()];
  const program = await start(
    "etcd",
    [
      ...["--data-dir", join(folder, "data"), "--log-level", "info"],
      ...[
        "--listen-client-urls",
        `http://127.0.0.1:${client}`,
        "--advertise-client-urls",
        `http://127.0.0.1:${client}`,
      ],
      ...[
        "--listen-peer-urls",
        `http://127.0.0.1:${peer}`,
        "--initial-advertise-peer-urls",
        `http://127.0.0.1:${peer}`,
      ],
      ...["--initial-cluster", `default=http://127.0.0.1:${peer}`],
    ],
    /ready to serve client requests/,
  );
  return {
    ...program,
    address: `127.0.0.1:${client}`,
    put: "/etcdserverpb.KV/Put",
    range: "/etcdserverpb.KV/Range",
    stop: async () => {
      await program.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A length-delimited field with a one-byte tag and a length below 16,384. */
function field(number: number, bytes: Uint8Array): Buffer {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

/** etcdserverpb.PutRequest. */
export function putRequest(key: string, value: Uint8Array): Buffer {
  return Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);
}

/** etcdserverpb.RangeRequest for one key; serializable reads what this member has, without asking for agreement. */
export function rangeRequest(key: string, serializable: boolean): Buffer {
  return Buffer.concat([field(1, Buffer.from(key)), Buffer.from(serializable ? [7 << 3, 1] : [])]);
}

/** etcdserverpb.WatchRequest that begins a watch of one key. */
export function watchRequest(key: string): Buffer {
  return field(1, field(1, Buffer.from(key)));
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
