// Generated stubs and a stock gRPC library, nothing of ours: what a service has that wants no client.
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../../gen/ts/google/rpc/status_pb.ts";
import { AutoSlot, SecretService, SlotState } from "../../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import {
  base64,
  bytes,
  type DriverError,
  integer,
  named,
  type Ops,
  optional,
  optionalInteger,
  type Request,
  serve,
  text,
} from "./protocol.ts";

type Connected = { readonly channel: Client; readonly metadata: Metadata };

const clients = new Map<string, Connected>();
const { method } = SecretService;

function call<I extends DescMessage, O extends DescMessage>(
  r: Request,
  rpc: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  const { channel, metadata } = named(clients, text(r, "client"));
  return new Promise((resolve, reject) => {
    channel.makeUnaryRequest(
      `/${rpc.parent.typeName}/${rpc.name}`,
      (message: MessageShape<I>) => Buffer.from(toBinary(rpc.input, message)),
      (raw: Buffer) => fromBinary(rpc.output, raw),
      create(rpc.input, request),
      metadata,
      { deadline: Date.now() + 5000 },
      (error, response) => (error ? reject(error) : resolve(response!)),
    );
  });
}

function reasonOf(status: Uint8Array | undefined): string {
  const { details } = fromBinary(StatusSchema, status ?? new Uint8Array());
  return details.map((any) => anyUnpack(any, ErrorInfoSchema)).find(Boolean)?.reason ?? "";
}

function describe(error: unknown): DriverError {
  const { code, details, metadata } = error as Partial<ServiceError>;
  if (code === undefined) return { code: "INTERNAL", reason: "", message: String(error), metadata: {} };
  const raw = metadata?.get("grpc-status-details-bin")[0];
  const reason = reasonOf(raw instanceof Uint8Array ? raw : undefined);
  return { code: status[code] ?? "UNKNOWN", reason, message: details ?? "", metadata: {} };
}

type Found = { name: string; slot?: bigint | undefined; value: Uint8Array; revision: bigint; epoch: string };

function version({ name, slot, value, revision, epoch }: Found): object {
  return { name, slot, value: base64(value), revision, epoch };
}

function stateName(state: SlotState | undefined): string {
  return Object.entries(SlotState).find(([, number]) => number === state)?.[0] ?? "";
}

function change(rpc: typeof method.disableSlot | typeof method.enableSlot | typeof method.destroySlot) {
  return async (r: Request): Promise<object> => {
    const request = { name: text(r, "name"), slot: integer(r, "slot") };
    const { slot, revision } = await call(r, rpc as typeof method.disableSlot, request);
    return { slot: slot?.slot, state: stateName(slot?.state), revision };
  };
}

const ops: Ops = {
  hello: () => ({ lang: "typescript", version: "stubs" }),
  connect: (r) => {
    const metadata = new Metadata();
    const token = optional(r, "token");
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    const channel = new Client(text(r, "address"), credentials.createInsecure());
    clients.set(text(r, "client"), { channel, metadata });
    return {};
  },
  closeClient: (r) => {
    named(clients, text(r, "client")).channel.close();
    return {};
  },
  get: async (r) => version(await call(r, method.getSecret, { name: text(r, "name") })),
  at: async (r) => {
    const at = optionalInteger(r, "at");
    const request = at === undefined ? { name: text(r, "name") } : { name: text(r, "name"), at };
    const found = await call(r, method.getEffectiveAt, request);
    return { ...version(found), at: found.at };
  },
  put: async (r) => {
    const slot = optionalInteger(r, "slot");
    const auto = optional(r, "autoSlot") as "NEXT_INDEX" | "NOW" | undefined;
    const result = await call(r, method.putSlot, {
      name: text(r, "name"),
      ...(slot === undefined ? {} : { slot }),
      ...(auto === undefined ? {} : { autoSlot: AutoSlot[auto] }),
      ...(r.value === undefined ? {} : { value: bytes(r, "value") }),
      overwrite: r.overwrite === true,
    });
    const { state, revision, created, currentSlot, epoch } = result;
    return {
      slot: result.slot,
      state: stateName(state),
      revision,
      created,
      currentSlot: currentSlot ?? null,
      epoch,
    };
  },
  disable: change(method.disableSlot),
  enable: change(method.enableSlot),
  destroy: change(method.destroySlot),
  delete: async (r) => {
    const { revision } = await call(r, method.deleteSecret, { name: text(r, "name") });
    return { revision };
  },
};

await serve(ops, describe);
for (const { channel } of clients.values()) channel.close();
process.exit(0);
