import { chmod, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ConnectionSource } from "./connection-source.ts";
import type { ListenAddress } from "./listen-address.ts";

/** As many as want to come in at the same moment wait in the system rather than try again. */
const BACKLOG = 4096;

export interface BoundSourceOptions {
  /** Leaves what a connection brings in the system, for the process that it is handed to. */
  readonly pauseOnConnect?: boolean;
}

/** Connections to an address that this process binds. */
export class BoundSource implements ConnectionSource {
  readonly #address: ListenAddress;
  readonly #server: Server;

  constructor(address: ListenAddress, options: BoundSourceOptions = {}) {
    this.#address = address;
    this.#server = createServer({ ...options, noDelay: true });
  }

  /** The address in use names the port that was free when port 0 was asked for. */
  async open(accept: (socket: Socket) => void): Promise<string> {
    this.#server.on("connection", accept);
    const address = this.#address;
    if (address.kind === "tcp") {
      await this.#bind(() =>
        this.#server.listen({ host: address.host, port: address.port, backlog: BACKLOG }),
      );
      const bound = this.#server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
      return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${port}`;
    }
    await removeStaleSocket(address.path);
    // The file must never be there with other rights, not even for a moment.
    const mask = process.umask(0o177);
    try {
      await this.#bind(() => this.#server.listen({ path: address.path, backlog: BACKLOG }));
    } finally {
      process.umask(mask);
    }
    await chmod(address.path, 0o600);
    return `unix:${address.path}`;
  }

  close(): void {
    this.#server.close();
  }

  #bind(listen: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.once("listening", () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => {});
        resolve();
      });
      listen();
    });
  }
}

/** A socket that nobody answers on is left over from a process that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  const state = await new Promise<"live" | "stale" | "none">((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve("live");
    });
    probe.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "ECONNREFUSED" ? "stale" : "none"),
    );
  });
  if (state === "stale") await rm(path, { force: true });
}
