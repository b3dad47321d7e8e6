import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { machineMs } from "./machine/heartbeat.ts";

/** Stands before a server: keeps one address over its restarts, and can cut or hold all that goes through. */
export class TcpProxy {
  readonly #server: Server;
  /** Where what comes in at each socket goes. */
  readonly #ways = new Map<Socket, Socket>();
  #target: { host: string; port: number } | undefined;
  #closedSince: number | undefined;
  /** How many hold it. */
  #held = 0;

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
    this.#closedSince = address === undefined ? (this.#closedSince ?? machineMs()) : undefined;
  }

  /** Since when nobody gets through, milliseconds of the machine's clock. */
  get closedSince(): number | undefined {
    return this.#closedSince;
  }

  cut(): void {
    for (const socket of this.#ways.keys()) socket.destroy();
  }

  /** Nothing goes through and neither side is told, as when a network fails; whatever is on its way waits. */
  hold(): void {
    if (this.#held++ > 0) return;
    for (const [one, other] of this.#ways) one.unpipe(other);
  }

  /** Heals what was held, once nobody holds it any more. */
  release(): void {
    if (--this.#held > 0) return;
    for (const [one, other] of this.#ways) one.pipe(other);
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
      this.#ways.set(one, other);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        this.#ways.delete(one);
        other.destroy();
      });
      if (this.#held === 0) one.pipe(other);
    }
  }
}
