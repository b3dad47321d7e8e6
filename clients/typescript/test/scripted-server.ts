import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/ts/google/rpc/status_pb.ts";
import {
  SecretService,
  WatchSecretResponseSchema,
  type WatchSlotsRequest,
  WatchSlotsResponseSchema,
} from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";

/** A failure as the server builds it. */
export class Refusal extends Error {
  readonly code: status;
  readonly reason: string;
  constructor(code: status, reason = "") {
    super(`refused: ${reason}`);
    this.code = code;
    this.reason = reason;
  }
}

type Answerer = (request: object, metadata: Metadata) => object | Promise<object>;

type Event = NonNullable<MessageInitShape<typeof WatchSlotsResponseSchema>["event"]>;

/** One WatchSlots stream, from the server's side. */
export class ScriptedStream {
  readonly request: WatchSlotsRequest;
  readonly metadata: Metadata;
  readonly cancelled: Promise<void>;
  readonly #call: ServerWritableStream<WatchSlotsRequest, object>;
  readonly #epoch: string;

  constructor(call: ServerWritableStream<WatchSlotsRequest, object>, epoch: string) {
    this.#call = call;
    this.#epoch = epoch;
    this.request = call.request;
    this.metadata = call.metadata;
    this.cancelled = new Promise((resolve) => call.once("cancelled", resolve));
  }

  send(revision: bigint, event: Event, { epoch = this.#epoch, resumeToken = "" } = {}): void {
    this.#call.write(create(WatchSlotsResponseSchema, { epoch, revision, resumeToken, event }));
  }

  /** A message of WatchSecret, as plain members. */
  sendSecret(message: MessageInitShape<typeof WatchSecretResponseSchema>): void {
    this.#call.write(create(WatchSecretResponseSchema, { epoch: this.#epoch, ...message }));
  }

  /** A whole secret in one slot each, and `synced`. */
  sync(revision: bigint, slots: Record<string, string>, name = "s"): void {
    this.send(revision, { case: "begin", value: { name } });
    for (const [slot, text] of Object.entries(slots)) this.slot(revision, BigInt(slot), text, name);
    this.synced(revision);
  }

  slot(revision: bigint, slot: bigint, text: string, name = "s"): void {
    this.send(revision, { case: "slot", value: { name, slot, value: new TextEncoder().encode(text) } });
  }

  synced(revision: bigint): void {
    this.send(revision, { case: "synced", value: {} }, { resumeToken: `token ${revision}` });
  }

  fail(refusal: Refusal): void {
    this.#call.emit("error", statusOf(refusal));
  }

  end(): void {
    this.#call.end();
  }
}

/** A gRPC server whose every answer the test gives. */
export class ScriptedServer {
  /** Answers of unary calls, by the method's local name. */
  readonly answers = new Map<string, Answerer>();
  epoch = "e1";
  readonly #server: Server;
  readonly #streams: ScriptedStream[] = [];
  readonly #waiting: ((stream: ScriptedStream) => void)[] = [];
  #port = 0;

  private constructor() {
    this.#server = new Server();
    for (const method of SecretService.methods) this.#register(method);
  }

  static async start(address = "127.0.0.1:0"): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    await new Promise<void>((resolve, reject) => {
      server.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        server.#port = port;
        if (error) reject(error);
        else resolve();
      });
    });
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The next WatchSlots stream that a client opens. */
  nextStream(): Promise<ScriptedStream> {
    const stream = this.#streams.shift();
    return stream ? Promise.resolve(stream) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #register(method: DescMethod): void {
    const definition = {
      path: `/${SecretService.typeName}/${method.name}`,
      requestStream: false,
      responseStream: method.methodKind === "server_streaming",
      requestDeserialize: (bytes: Buffer) => fromBinary<DescMessage>(method.input, bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: never) => Buffer.from(toBinary<DescMessage>(method.output, message)),
      responseDeserialize: () => ({}),
    };
    const handler = definition.responseStream
      ? (call: ServerWritableStream<WatchSlotsRequest, object>) =>
          this.#offer(new ScriptedStream(call, this.epoch))
      : (call: ServerUnaryCall<object, object>, callback: sendUnaryData<object>) => {
          Promise.resolve()
            .then(() => this.#answer(method, call))
            .then(
              (answer) =>
                callback(null, create<DescMessage>(method.output, answer as MessageInitShape<DescMessage>)),
              (error) => callback(statusOf(error)),
            );
        };
    this.#server.addService(
      { [method.localName]: definition } as unknown as ServiceDefinition,
      { [method.localName]: handler } as UntypedServiceImplementation,
    );
  }

  #answer(method: DescMethod, call: ServerUnaryCall<object, object>): object | Promise<object> {
    const answer = this.answers.get(method.localName);
    if (answer === undefined) throw new Refusal(status.UNIMPLEMENTED);
    return answer(call.request, call.metadata);
  }

  #offer(stream: ScriptedStream): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(stream);
    else this.#streams.push(stream);
  }
}

function statusOf(error: unknown): { code: status; details: string; metadata: Metadata } {
  const { code, reason, message } =
    error instanceof Refusal ? error : { code: status.INTERNAL, reason: "", message: String(error) };
  const info = create(ErrorInfoSchema, { reason, domain: "secretslots", metadata: { name: "s" } });
  const raw = create(StatusSchema, { code, message, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new Metadata();
  if (reason !== "") metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, raw)));
  return { code, details: message, metadata };
}
