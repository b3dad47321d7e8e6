import {
  type Client,
  connect,
  type SecretInfo,
  type SecretVersion,
  type SlotChangeResult,
} from "../../src/index.ts";
import {
  base64,
  bytes,
  integer,
  named,
  type Ops,
  optional,
  optionalInteger,
  type Request,
  text,
} from "./protocol.ts";

export const clients = new Map<string, Client>();

export function client(request: Request): Client {
  return named(clients, text(request, "client"));
}

export function version({ name, slot, value, revision, epoch }: SecretVersion): object {
  return { name, slot, value: base64(value.bytes()), revision, epoch };
}

function described({
  name,
  comment,
  labels,
  etag,
  revision,
  slotCount,
  enabledCount,
  currentSlot,
}: SecretInfo): object {
  return {
    name,
    comment,
    labels,
    etag,
    revision,
    slotCount: String(slotCount),
    enabledCount: String(enabledCount),
    currentSlot: currentSlot ?? null,
  };
}

function changed({ slot, revision }: SlotChangeResult): object {
  return { slot: slot.slot, state: slot.state, revision };
}

function conditions(request: Request): { etag: string | undefined; requestId: string | undefined } {
  return { etag: optional(request, "etag"), requestId: optional(request, "requestId") };
}

function optionalNumber(request: Request, member: string): number | undefined {
  const value = optional(request, member);
  return value === undefined ? undefined : Number(value);
}

async function collect<T, U>(items: AsyncIterable<T>, map: (item: T) => U): Promise<U[]> {
  const all: U[] = [];
  for await (const item of items) all.push(map(item));
  return all;
}

export const callOps: Ops = {
  connect: (r) => {
    const tls = { ca: optional(r, "ca"), cert: optional(r, "cert"), key: optional(r, "key") };
    const made = connect({
      address: text(r, "address"),
      token: optional(r, "token"),
      tokenFile: optional(r, "tokenFile"),
      ...(Object.values(tls).some((path) => path !== undefined) ? { tls } : {}),
      allowPlaintext: r.allowPlaintext === true,
      timeoutMs: optionalNumber(r, "timeoutMs"),
      maxAttempts: optionalNumber(r, "maxAttempts"),
      onWarning: (message) => process.stderr.write(`${message}\n`),
    });
    clients.set(text(r, "client"), made);
    return {};
  },
  closeClient: (r) => {
    client(r).close();
    return {};
  },
  get: async (r) => version(await client(r).getSecret(text(r, "name"))),
  at: async (r) => {
    const found = await client(r).getSecretEffectiveAt(text(r, "name"), optionalInteger(r, "at"));
    return { ...version(found), at: found.at };
  },
  put: async (r) => {
    const result = await client(r).putSlot({
      name: text(r, "name"),
      slot: optionalInteger(r, "slot"),
      autoSlot: optional(r, "autoSlot") as "NEXT_INDEX" | "NOW" | undefined,
      value: r.value === undefined ? undefined : bytes(r, "value"),
      overwrite: r.overwrite === true,
      expectedRevision: optionalInteger(r, "expectedRevision"),
      requestId: optional(r, "requestId"),
      initialState: optional(r, "initialState") as "ENABLED" | "DISABLED" | undefined,
    });
    return { ...result, currentSlot: result.currentSlot ?? null };
  },
  disable: async (r) =>
    changed(await client(r).disableSlot(text(r, "name"), integer(r, "slot"), conditions(r))),
  enable: async (r) =>
    changed(await client(r).enableSlot(text(r, "name"), integer(r, "slot"), conditions(r))),
  destroy: async (r) =>
    changed(await client(r).destroySlot(text(r, "name"), integer(r, "slot"), conditions(r))),
  delete: async (r) => {
    const { revision } = await client(r).deleteSecret(text(r, "name"), conditions(r));
    return { revision };
  },
  describe: async (r) => described(await client(r).describeSecret(text(r, "name"))),
  update: async (r) => {
    const labels = r.labels as Record<string, string> | undefined;
    const change = { comment: optional(r, "comment"), labels };
    return described(await client(r).updateSecret(text(r, "name"), change, conditions(r)));
  },
  list: async (r) => {
    const secrets = client(r).listSecrets(optional(r, "prefix"), { pageSize: optionalNumber(r, "pageSize") });
    return { names: await collect(secrets, ({ name }) => name) };
  },
  listSlots: async (r) => {
    const slots = client(r).listSlots(text(r, "name"), { pageSize: optionalNumber(r, "pageSize") });
    return {
      slots: await collect(slots, ({ slot, state, revision, size }) => ({
        slot,
        state,
        revision,
        size: String(size),
      })),
    };
  },
  info: async (r) => {
    const { version, epoch, revision } = await client(r).getServerInfo();
    return { version, epoch, revision };
  },
};
