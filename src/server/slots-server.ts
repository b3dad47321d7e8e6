import type { Socket } from "node:net";
import { type ConnectionInjector, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { Health } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/ts/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/ts/grpc/reflection/v1alpha/reflection_pb.ts";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { SecretService } from "../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { StrangerLog } from "../core/auditor.ts";
import type { Core } from "../core/core.ts";
import type { KeyManager } from "../core/master-keys.ts";
import { isWatch } from "../core/required-action.ts";
import { SlotsError } from "../domain/errors.ts";
import {
  type Gate,
  type Handlers,
  serviceDefinition,
  serviceImplementation,
  type UnaryRpc,
  unaryRpcs,
} from "./adapter.ts";
import type { ConnectionSource } from "./connections/connection-source.ts";
import { Listener } from "./connections/listener.ts";
import { DirectCalls } from "./direct/direct-calls.ts";
import { Door } from "./door.ts";
import { HealthService } from "./health.ts";
import type { ConcurrencyLimit, FailedLogins } from "./limits.ts";
import { OpenStreams } from "./open-streams.ts";
import { Reflection } from "./reflection.ts";
import { ServerCall } from "./server-call.ts";
import { adminService } from "./services/admin-service.ts";
import { ReadService } from "./services/read-service.ts";
import { secretService } from "./services/secret-service.ts";
import { WatchService } from "./services/watch-service.ts";
import { grpcStatus, toSlotsError } from "./status.ts";
import type { ClientCertificate, Tls } from "./tls/tls.ts";

export interface SlotsServerOptions {
  readonly core: Core;
  readonly keys: KeyManager;
  readonly strangers: StrangerLog;
  readonly source: ConnectionSource;
  readonly tls: Tls | undefined;
  readonly failedLogins: FailedLogins;
  readonly calls: ConcurrencyLimit;
  readonly watches: ConcurrencyLimit;
  readonly connections: ConcurrencyLimit;
  readonly features: readonly string[];
  readonly maxStreamsPerConnection: number;
  readonly maxMessageBytes: number;
  readonly slowConsumerMs: number;
  /** Told of each call that ended: its RPC, how it ended and how long it took, milliseconds. */
  readonly onCall: (rpc: string, code: string, millis: number) => void;
  /** An error that nobody foresaw. */
  readonly onInternalError: (rpc: string, error: unknown) => void;
  readonly onConnectionRefused: (address: string) => void;
}

const PING_AFTER_MS = 30_000;
const PING_TIMEOUT_MS = 10_000;
/** A little more, so that HTTP/2 comes first where it can: it tells the other side. */
const SILENCE_MS = PING_AFTER_MS + PING_TIMEOUT_MS + 2_000;

/** The gRPC server: services, health, reflection, and an orderly end. */
export class SlotsServer {
  readonly #options: SlotsServerOptions;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #listener: Listener;
  readonly #health: HealthService;
  readonly #door: Door;
  readonly #streams = new OpenStreams();
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(options: SlotsServerOptions) {
    this.#options = options;
    const { core, keys, tls } = options;
    this.#door = new Door({
      authenticator: core.authenticator,
      opened: core.opened,
      strangers: options.strangers,
      failedLogins: options.failedLogins,
      calls: options.calls,
      watches: options.watches,
      maxStreamsPerConnection: options.maxStreamsPerConnection,
      isCrowded: (peer) => this.#listener.isCrowded(peer),
      clientCertificate: (call): ClientCertificate | undefined => tls?.clientCertificate(call),
    });
    this.#server = new Server({
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_concurrent_streams": options.maxStreamsPerConnection,
      "grpc.keepalive_time_ms": PING_AFTER_MS,
      "grpc.keepalive_timeout_ms": PING_TIMEOUT_MS,
      "grpc.enable_channelz": 0,
    });
    this.#health = new HealthService([SecretService.typeName, AdminService.typeName]);
    const reads = new ReadService(core);
    const watches = new WatchService(core);
    const unary = [
      ...this.#serve(SecretService, secretService(core, reads, watches, options.features)),
      ...this.#serve(AdminService, adminService(core, keys)),
    ];
    this.#server.addService(serviceDefinition(Health), this.#health.implementation());
    this.#serveReflection();
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const { maxMessageBytes } = options;
    const direct = new DirectCalls({
      reads,
      watches,
      unary,
      opened: core.opened,
      gate: this.#gate(),
      log: core.auditLog,
      maxMessageBytes,
    });
    // TLS is done before grpc-js sees a connection, so that certificates are judged in one place.
    const inject = (socket: Socket) => {
      direct.attach(socket);
      this.#injector.injectConnection(socket);
    };
    this.#listener = new Listener({
      source: options.source,
      connections: options.connections,
      silenceMs: SILENCE_MS,
      accept: tls?.acceptor(inject) ?? inject,
      refused: options.onConnectionRefused,
    });
  }

  /** Resolves with the address in use, if it is this process's, once calls are answered. */
  async start(): Promise<string | undefined> {
    const address = await this.#listener.listen();
    this.#health.serving = true;
    return address;
  }

  /**
   * Ends in order: health says so, watches end with UNAVAILABLE, calls in flight are finished; what is not done
   * after `graceMs` is cut.
   */
  async stop(graceMs: number): Promise<void> {
    this.#health.serving = false;
    this.#listener.close();
    this.#streams.abort(
      new SlotsError("DRAINING", "the server stops; connect again and resume", { retryAfterMs: 100 }),
    );
    this.#health.close();
    this.#door.close();
    const deadline = AbortSignal.timeout(graceMs);
    const cut = new Promise<void>((resolve) =>
      deadline.addEventListener("abort", () => resolve(), { once: true }),
    );
    const finished = new Promise<void>((resolve) => {
      if (this.#running === 0) resolve();
      else this.#idle = resolve;
    });
    await Promise.race([finished, cut]);
    // Connections end once their streams have: grpc-js calls back before that, with statuses still unsent.
    const drained = this.#listener.drained;
    this.#server.tryShutdown(() => {});
    await Promise.race([drained, cut]);
    this.#server.forceShutdown();
    this.#listener.destroy();
  }

  #serve<S extends typeof SecretService | typeof AdminService>(
    service: S,
    handlers: Handlers<S>,
  ): readonly UnaryRpc[] {
    const unary = unaryRpcs(service, handlers);
    this.#server.addService(
      serviceDefinition(service),
      serviceImplementation(service, handlers, unary, this.#gate()),
    );
    return unary;
  }

  #gate(): Gate {
    const { core } = this.#options;
    return {
      streams: this.#streams,
      alarms: core.alarms,
      slowConsumerMs: this.#options.slowConsumerMs,
      enter: (call, head) => {
        this.#running += 1;
        if (!isWatch(call.rpc)) core.bell.makeRoom();
        return this.#door.enter(call, head);
      },
      ended: (call, error) => {
        this.#door.left(call);
        this.#running -= 1;
        if (this.#running === 0) this.#idle?.();
        if (error?.code === "INTERNAL") this.#options.onInternalError(call.rpc, error.cause ?? error);
        this.#options.onCall(call.rpc, error?.code ?? "OK", performance.now() - call.since);
      },
    };
  }

  #serveReflection(): void {
    const services = [SecretService, AdminService, Health, ServerReflection, ServerReflectionAlpha];
    const authenticate = async (raw: ServerDuplexStream<Buffer, Buffer>) => {
      const call = new ServerCall("ServerReflectionInfo", raw);
      try {
        await this.#door.enter(call);
        this.#door.left(call);
      } catch (error) {
        throw grpcStatus(toSlotsError(error));
      }
    };
    const implementation = new Reflection(services).implementation(authenticate);
    for (const service of [ServerReflection, ServerReflectionAlpha]) {
      this.#server.addService(serviceDefinition(service), implementation);
    }
  }
}
