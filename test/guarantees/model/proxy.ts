import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands before a server: keeps one address over its restarts, and can cut all that goes through. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: { host: string; port: number } | undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (client) => this.#join(client));
  }

  static async start(): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TcpProxy(server);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Lets connections through to `address`; undefined: to nowhere, each ends at once. */
  to(address: string | undefined): void {
    const [host = "", port] = address?.split(":") ?? [];
    this.#target = address === undefined ? undefined : { host, port: Number(port) };
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #join(client: Socket): void {
    if (this.#target === undefined) {
      client.destroy();
      return;
    }
    const server = connect({ ...this.#target, noDelay: true });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
