import { credentials } from "@grpc/grpc-js";
import { AdminService, Action as Right } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { ServerProcess } from "../../support/server-process.ts";
import { Wire, WireError } from "../../support/wire.ts";
import { TcpProxy } from "./proxy.ts";

/** Client 0 administers and writes; the others read and watch, and can lose that. */
export const CLIENTS = 3;

export interface WorldOptions {
  readonly servers?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const CHANNEL = {
  // Servers come back within a second; waiting longer than that for them would only cost time.
  "grpc.initial_reconnect_backoff_ms": 20,
  "grpc.min_reconnect_backoff_ms": 20,
  "grpc.max_reconnect_backoff_ms": 100,
  "grpc.enable_retries": 0,
};

/** Server processes on one store, each behind a proxy, and the clients' identities. Runs one sequence at a time. */
export class World {
  readonly #options: WorldOptions;
  readonly #servers: ServerProcess[];
  readonly #proxies: readonly TcpProxy[];
  readonly #dataDir: string;
  readonly #tokens: { token: string; tokenId: string; ordinal: number }[];
  readonly #wires = new Map<string, Wire>();
  /** Whether a connection was broken since the last sequence began. */
  #hurt = false;
  readonly #old: Wire[] = [];
  readonly #ungranted = new Set<number>();

  private constructor(
    options: WorldOptions,
    servers: ServerProcess[],
    proxies: readonly TcpProxy[],
    adminToken: string,
  ) {
    this.#options = options;
    this.#servers = servers;
    this.#proxies = proxies;
    this.#dataDir = (servers[0] as ServerProcess).dataDir;
    this.#tokens = [{ token: adminToken, tokenId: "", ordinal: 0 }];
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const first = await ServerProcess.start(launch(options));
    try {
      const others = await Promise.all(
        Array.from({ length: (options.servers ?? 2) - 1 }, () =>
          ServerProcess.start({ ...launch(options), dataDir: first.dataDir }),
        ),
      );
      const servers = [first, ...others];
      const proxies = await Promise.all(servers.map(() => TcpProxy.start()));
      for (const [seat, server] of servers.entries()) proxies[seat]?.to(server.address);
      const world = new World(options, servers, proxies, first.adminToken);
      for (let client = 1; client < CLIENTS; client++) await world.#newToken(client);
      await world.#applyGrants();
      return world;
    } catch (error) {
      await first.dispose();
      throw error;
    }
  }

  get servers(): number {
    return this.#servers.length;
  }

  /** Which of its tokens a client holds, counted from 0. */
  token(client: number): number {
    return this.#tokens[client]?.ordinal ?? 0;
  }

  address(server: number): string {
    return (this.#proxies[server % this.servers] as TcpProxy).address;
  }

  /** The bearer token of the client that writes. */
  get adminToken(): string {
    return this.#tokens[0]?.token ?? "";
  }

  wire(client: number, server: number): Wire {
    const seat = server % this.servers;
    const { token } = this.#tokens[client] as { token: string };
    const key = `${seat} ${token}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) {
      wire = new Wire(this.address(seat), token, credentials.createInsecure(), CHANNEL);
      this.#wires.set(key, wire);
    }
    return wire;
  }

  /** The store's revision at which the client's token is gone. It holds a new one before its next call. */
  async revoke(client: number, server: number): Promise<bigint> {
    const { token, tokenId } = this.#tokens[client] as { token: string; tokenId: string };
    const { revision } = await this.admin(server, (wire) =>
      wire.call(AdminService.method.revokeToken, { tokenId }),
    );
    for (let seat = 0; seat < this.servers; seat++) {
      // Its channels are left to the streams that are about to end.
      const key = `${seat} ${token}`;
      const wire = this.#wires.get(key);
      if (wire !== undefined) this.#old.push(wire);
      this.#wires.delete(key);
    }
    return revision;
  }

  async #newToken(client: number): Promise<void> {
    const ordinal = (this.#tokens[client]?.ordinal ?? -1) + 1;
    const made = await this.admin(0, (wire) => wire.createToken(`token:client-${client}`));
    this.#tokens[client] = { ...made, ordinal };
  }

  renew(client: number): Promise<void> {
    return this.#newToken(client);
  }

  /** Takes or gives the right to read and watch; the revision at which it is so. */
  grant(client: number, granted: boolean, server: number): Promise<bigint> {
    if (granted) this.#ungranted.delete(client);
    else this.#ungranted.add(client);
    return this.#applyGrants(server);
  }

  get ungranted(): readonly number[] {
    return [...this.#ungranted];
  }

  async #applyGrants(server = 0): Promise<bigint> {
    const clients = Array.from({ length: CLIENTS - 1 }, (_, index) => index + 1);
    const policies = clients
      .filter((client) => !this.#ungranted.has(client))
      .map((client) => ({
        name: `client-${client}`,
        principals: [`token:client-${client}`],
        rules: [{ actions: [Right.READ, Right.WATCH, Right.LIST], names: ["*"] }],
      }));
    const { revision } = await this.admin(server, (wire) =>
      wire.call(AdminService.method.applyPolicies, { policies }),
    );
    return revision;
  }

  /** Calls that mean the same when they are made twice, until they are answered; by the next server each time. */
  async admin<T>(server: number, call: (wire: Wire) => Promise<T>): Promise<T> {
    const end = Date.now() + 30_000;
    for (let attempt = 0; ; attempt++) {
      try {
        return await call(this.wire(0, server + attempt));
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async kill(server: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    await this.#servers[seat]?.kill();
    await this.#restart(seat);
  }

  async stop(server: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    const exit = await this.#servers[seat]?.stop();
    if (exit?.code !== 0)
      throw new Error(`a server that was asked to stop ended with ${exit?.code ?? exit?.signal}`);
    await this.#restart(seat);
  }

  /** Ends all connections of a server, and lets nobody through for a while. */
  async cut(server: number, ms: number): Promise<void> {
    this.#hurt = true;
    const seat = server % this.servers;
    const proxy = this.#proxies[seat];
    proxy?.to(undefined);
    proxy?.cut();
    await new Promise((resolve) => setTimeout(resolve, ms));
    proxy?.to(this.#servers[seat]?.address);
  }

  async newEpoch(): Promise<void> {
    this.#hurt = true;
    await Promise.all(this.#servers.map((server) => server.stop()));
    for (let seat = 0; seat < this.servers; seat++)
      await this.#restart(seat, seat === 0 ? ["--new-epoch"] : []);
  }

  async #restart(seat: number, more: readonly string[] = []): Promise<void> {
    this.#proxies[seat]?.to(undefined);
    this.#proxies[seat]?.cut();
    const options = launch(this.#options);
    const server = await ServerProcess.start({
      ...options,
      args: [...options.args, ...more],
      dataDir: this.#dataDir,
    });
    this.#servers[seat] = server;
    this.#proxies[seat]?.to(server.address);
  }

  /** Call between sequences: gives back every right, and closes channels that nobody uses any more. */
  async tidy(): Promise<void> {
    for (const wire of this.#old.splice(0)) wire.close();
    for (const client of this.#ungranted) await this.grant(client, true, 0);
    if (this.#hurt) await this.#whole();
    this.#hurt = false;
  }

  /** A channel that saw its server away stays closed for a while; the next sequence must not meet that as a failure. */
  async #whole(): Promise<void> {
    const end = Date.now() + 30_000;
    const answers = async (wire: Wire): Promise<void> => {
      for (;;) {
        const code = await wire.call(AdminService.method.whoAmI, {}).then(
          () => "OK",
          (error: unknown) => (error instanceof WireError ? error.code : "UNKNOWN"),
        );
        if (code === "OK" || code === "UNAUTHENTICATED" || Date.now() > end) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all([...this.#wires.values()].map(answers));
  }

  async close(): Promise<void> {
    for (const wire of this.#old) wire.close();
    for (const wire of this.#wires.values()) wire.close();
    for (const proxy of this.#proxies) proxy.close();
    await Promise.all(this.#servers.slice(1).map((server) => server.kill()));
    await this.#servers[0]?.dispose();
  }

  get output(): string {
    return this.#servers.map(({ output }) => output).join("\n");
  }
}

function launch({ args = [], env = {} }: WorldOptions) {
  return { args: ["--log-level", "warn", "--failed-logins-burst", "1000000", ...args], env };
}
