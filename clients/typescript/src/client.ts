import { AdminService } from "../../../gen/ts/secretslots/v1/admin_service_pb.ts";
import type * as pb from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { AutoSlot, SecretService, SlotState } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import { Connection } from "./connection.ts";
import { crc32c } from "./crc32c.ts";
import { invalidArgument } from "./errors.ts";
import {
  type SecretInfo,
  type SlotInfo,
  type SlotStateName,
  secretInfo,
  slotInfo,
  slotStateName,
} from "./metadata.ts";
import { type NumberInput, toNumber64 } from "./numbers.ts";
import { type OpenOptions, openSecrets } from "./open.ts";
import type { CallOptions, ConnectOptions } from "./options.ts";
import { SecretValue } from "./secret-value.ts";
import { receivedVersion, type SecretVersion } from "./secret-version.ts";
import type { Secrets } from "./secrets.ts";
import { type ServiceClient, serviceClient } from "./service-client.ts";
import type { RetryPolicy } from "./unary.ts";
import { type WatchEvent, type WatchOptions, watchSecret } from "./watch-secret.ts";

/** What to write; exactly one of `slot` and `autoSlot`. */
export type PutSlotInput = {
  readonly name: string;
  readonly slot?: NumberInput | undefined;
  /** `NEXT_INDEX`: one past the largest number ever used. `NOW`: the server's clock in Unix seconds. */
  readonly autoSlot?: "NEXT_INDEX" | "NOW" | undefined;
  /** A string is taken as UTF-8. Left out is an error of the server; empty is a value. */
  readonly value?: Uint8Array | string | SecretValue | undefined;
  /** Allows another value in a slot that holds one, or in a destroyed number. */
  readonly overwrite?: boolean | undefined;
  /** The secret's revision that the caller has seen; 0 = must not exist yet. */
  readonly expectedRevision?: NumberInput | undefined;
  /** Makes repeating the call safe, for 24 hours. Filled in when left out. */
  readonly requestId?: string | undefined;
  /** `DISABLED` stages a slot that is enabled later. */
  readonly initialState?: "ENABLED" | "DISABLED" | undefined;
};

export type PutSlotResult = {
  readonly name: string;
  readonly slot: bigint;
  readonly state: SlotStateName;
  /** The commit that wrote this version of the slot, also when the call changed nothing. */
  readonly revision: bigint;
  /** True when the slot number was not known before. */
  readonly created: boolean;
  readonly currentSlot: bigint | undefined;
  readonly epoch: string;
};

/** Conditions of a change. */
export type ChangeOptions = CallOptions & {
  /** Must be the secret's etag of today, else ABORTED (`ETAG_MISMATCH`). */
  readonly etag?: string | undefined;
  readonly requestId?: string | undefined;
};

export type SlotChangeResult = { readonly slot: SlotInfo; readonly revision: bigint; readonly epoch: string };

export type ListOptions = CallOptions & { readonly pageSize?: number | undefined };

export type ListPageOptions = ListOptions & { readonly pageToken?: string | undefined };

export type ServerInfo = {
  readonly version: string;
  readonly epoch: string;
  readonly revision: bigint;
  readonly limits: pb.Limits | undefined;
  readonly features: readonly string[];
};

/** A page of a list; `nextPageToken` is "" on the last. */
export type Page<T> = { readonly items: readonly T[]; readonly nextPageToken: string };

const SLOT_CHANGES = { disable: "disableSlot", enable: "enableSlot", destroy: "destroySlot" } as const;

/** A client over one channel. Made by {@link connect}; does no I/O before the first call. */
export class Client {
  /** The whole AdminService, message by message. */
  readonly admin: ServiceClient<typeof AdminService>;
  /** The whole SecretService, message by message, for what the helpers do not offer. */
  readonly secretService: ServiceClient<typeof SecretService>;
  readonly #connection: Connection;

  constructor(options: ConnectOptions) {
    const policy: RetryPolicy = {
      timeoutMs: positive(options.timeoutMs ?? 5000, "timeoutMs"),
      maxAttempts: positive(options.maxAttempts ?? 5, "maxAttempts"),
    };
    this.#connection = new Connection(options);
    this.admin = serviceClient(AdminService, this.#connection, policy);
    this.secretService = serviceClient(SecretService, this.#connection, policy);
  }

  /** The current value: the enabled slot with the largest number. */
  async getSecret(name: string, options?: CallOptions): Promise<SecretVersion> {
    return receivedVersion(await this.secretService.getSecret({ name }, options));
  }

  /** The value in the enabled slot with the largest number at or below `at`; without `at`, the server's clock. */
  async getSecretEffectiveAt(
    name: string,
    at?: NumberInput,
    options?: CallOptions,
  ): Promise<SecretVersion & { readonly at: bigint }> {
    const request = at === undefined ? { name } : { name, at: toNumber64(at, "at") };
    const response = await this.secretService.getEffectiveAt(request, options);
    return { ...receivedVersion(response), at: response.at ?? 0n };
  }

  /** Writes a value into one slot; creates the secret at its first. */
  async putSlot(input: PutSlotInput, options?: CallOptions): Promise<PutSlotResult> {
    const value = input.value === undefined ? undefined : bytesOf(input.value);
    const response = await this.secretService.putSlot(
      {
        name: input.name,
        ...(input.slot === undefined ? {} : { slot: toNumber64(input.slot, "slot") }),
        ...(input.autoSlot === undefined ? {} : { autoSlot: AutoSlot[input.autoSlot] }),
        ...(value === undefined ? {} : { value, crc32c: crc32c(value) }),
        overwrite: input.overwrite ?? false,
        ...(input.expectedRevision === undefined
          ? {}
          : { expectedRevision: toNumber64(input.expectedRevision, "expectedRevision") }),
        requestId: input.requestId ?? "",
        ...(input.initialState === undefined ? {} : { initialState: SlotState[input.initialState] }),
      },
      options,
    );
    return {
      name: response.name,
      slot: response.slot ?? 0n,
      state: slotStateName(response.state),
      revision: response.revision,
      created: response.created,
      currentSlot: response.currentSlot,
      epoch: response.epoch,
    };
  }

  /** Takes a slot out of both resolution rules until it is enabled again. */
  disableSlot(name: string, slot: NumberInput, options?: ChangeOptions): Promise<SlotChangeResult> {
    return this.#changeSlot("disable", name, slot, options);
  }

  /** Puts a disabled slot back. */
  enableSlot(name: string, slot: NumberInput, options?: ChangeOptions): Promise<SlotChangeResult> {
    return this.#changeSlot("enable", name, slot, options);
  }

  /** Removes a slot's value for good; its number stays known. */
  destroySlot(name: string, slot: NumberInput, options?: ChangeOptions): Promise<SlotChangeResult> {
    return this.#changeSlot("destroy", name, slot, options);
  }

  /** Removes a secret and all its slots. */
  async deleteSecret(
    name: string,
    options?: ChangeOptions,
  ): Promise<{ readonly revision: bigint; readonly epoch: string }> {
    const { revision, epoch } = await this.secretService.deleteSecret(
      { name, etag: options?.etag ?? "", requestId: options?.requestId ?? "" },
      options,
    );
    return { revision, epoch };
  }

  async describeSecret(
    name: string,
    options?: CallOptions,
  ): Promise<SecretInfo & { readonly epoch: string }> {
    const response = await this.secretService.describeSecret({ name }, options);
    return { ...secretInfo(response), epoch: response.epoch };
  }

  /** Changes the comment, the labels (as a whole), or both: what is given is the update mask. */
  async updateSecret(
    name: string,
    change: {
      readonly comment?: string | undefined;
      readonly labels?: Readonly<Record<string, string>> | undefined;
    },
    options?: ChangeOptions,
  ): Promise<SecretInfo & { readonly epoch: string }> {
    const paths = (["comment", "labels"] as const).filter((path) => change[path] !== undefined);
    const response = await this.secretService.updateSecret(
      {
        name,
        comment: change.comment ?? "",
        labels: { ...change.labels },
        updateMask: { paths },
        etag: options?.etag ?? "",
        requestId: options?.requestId ?? "",
      },
      options,
    );
    return { ...secretInfo(response), epoch: response.epoch };
  }

  /** One page of secrets in byte order of names. */
  async listSecretsPage(prefix = "", options: ListPageOptions = {}): Promise<Page<SecretInfo>> {
    const { pageSize = 0, pageToken = "" } = options;
    const response = await this.secretService.listSecrets({ prefix, pageSize, pageToken }, options);
    return { items: response.secrets.map(secretInfo), nextPageToken: response.nextPageToken };
  }

  /** All secrets whose names begin with `prefix`, page after page. */
  listSecrets(prefix = "", options: ListOptions = {}): AsyncGenerator<SecretInfo, void, undefined> {
    return allPages((pageToken) => this.listSecretsPage(prefix, { ...options, pageToken }));
  }

  /** One page of a secret's slots in rising order; never values. */
  async listSlotsPage(name: string, options: ListPageOptions = {}): Promise<Page<SlotInfo>> {
    const { pageSize = 0, pageToken = "" } = options;
    const response = await this.secretService.listSlots({ name, pageSize, pageToken }, options);
    return { items: response.slots.map(slotInfo), nextPageToken: response.nextPageToken };
  }

  /** All slots of a secret, page after page. */
  listSlots(name: string, options: ListOptions = {}): AsyncGenerator<SlotInfo, void, undefined> {
    return allPages((pageToken) => this.listSlotsPage(name, { ...options, pageToken }));
  }

  async getServerInfo(options?: CallOptions): Promise<ServerInfo> {
    const { version, epoch, revision, limits, features } = await this.secretService.getServerInfo(
      {},
      options,
    );
    return { version, epoch, revision, limits, features };
  }

  /** Handles for the names, over one stream; resolves when every name has a value. */
  open(names: readonly string[], options: OpenOptions = {}): Promise<Secrets> {
    return openSecrets(this.#connection, names, options);
  }

  /** Every new current value of one secret, or its absence, across reconnects. Ends when the signal aborts. */
  watchSecret(name: string, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    return watchSecret(this.#connection, name, options);
  }

  /** Ends everything that runs over this client. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "Client {}";
  }

  async #changeSlot(
    verb: keyof typeof SLOT_CHANGES,
    name: string,
    slot: NumberInput,
    options?: ChangeOptions,
  ): Promise<SlotChangeResult> {
    const response = await this.secretService[SLOT_CHANGES[verb]](
      {
        name,
        slot: toNumber64(slot, "slot"),
        etag: options?.etag ?? "",
        requestId: options?.requestId ?? "",
      },
      options,
    );
    return { slot: slotInfo(response.slot!), revision: response.revision, epoch: response.epoch };
  }
}

/** A client for a server. Nothing is sent before the first call. */
export function connect(options: ConnectOptions): Client {
  return new Client(options);
}

/** Client and handles in one call; closing the set closes the client. */
export async function open(
  options: ConnectOptions & OpenOptions & { readonly names: readonly string[] },
): Promise<Secrets> {
  const client = connect(options);
  try {
    const secrets = await client.open(options.names, options);
    return secrets.alsoClosing(() => client.close());
  } catch (error) {
    client.close();
    throw error;
  }
}

function bytesOf(value: Uint8Array | string | SecretValue): Uint8Array {
  return (value instanceof SecretValue ? value : new SecretValue(value)).bytes();
}

function positive(value: number, what: string): number {
  if (!(value > 0)) throw invalidArgument(`${what} must be above 0`);
  return value;
}

async function* allPages<T>(page: (token: string) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  let token = "";
  do {
    const { items, nextPageToken } = await page(token);
    yield* items;
    token = nextPageToken;
  } while (token !== "");
}
