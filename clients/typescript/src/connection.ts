import {
  Client as Channel,
  type ChannelOptions,
  connectivityState,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { type Address, parseAddress } from "./address.ts";
import { asSlotsError, invalidArgument, SlotsError } from "./errors.ts";
import type { ConnectOptions, Warn } from "./options.ts";
import { type TlsMaterial, tlsFiles } from "./tls-files.ts";
import { type TokenSource, tokenSource } from "./token-source.ts";
import { VERSION } from "./version.ts";

const TLS_CHECK_MS = 10_000;

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // The channel's own backoff must not add to ours: see channel().
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.use_local_subchannel_pool": 1,
  // Retries are ours: a hidden one could repeat what must not be repeated.
  "grpc.enable_retries": 0,
  "grpc.primary_user_agent": `secretslots-typescript/${VERSION}`,
};

function isDown(channel: Channel): boolean {
  return channel.getChannel().getConnectivityState(false) === connectivityState.TRANSIENT_FAILURE;
}

/** One channel and what proves who we are, both renewed as their files change. */
export class Connection {
  readonly warn: Warn;
  readonly #options: ConnectOptions;
  readonly #address: Address;
  readonly #token: TokenSource | undefined;
  readonly #tls: (() => Promise<TlsMaterial>) | undefined;
  #channel: Channel | undefined;
  #material: TlsMaterial | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  readonly #running = new Set<() => void>();
  #closed = false;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.warn = options.onWarning ?? (() => {});
    this.#address = parseAddress(options.address);
    this.#token = tokenSource(options, this.warn);
    const tls = options.tls === true ? {} : options.tls || undefined;
    if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
      throw invalidArgument("tls.cert and tls.key go together");
    }
    this.#tls = tls && tlsFiles(tls, this.warn);
    if (this.#token && !this.#tls && !this.#address.local && options.allowPlaintext !== true) {
      throw invalidArgument(
        `a token is not sent to ${options.address} without TLS; set tls, or allowPlaintext if you must`,
        "PLAINTEXT_REFUSED",
      );
    }
  }

  /**
   * The channel to call on. `fresh` is for a new stream or another attempt: it looks at the TLS files however lately
   * that was done, and dials at once instead of waiting for the channel's own backoff.
   */
  async channel(fresh: boolean): Promise<Channel> {
    const due = fresh || performance.now() - this.#checkedAt > TLS_CHECK_MS;
    const material = this.#tls && (due || !this.#channel) ? await this.#loadTls(this.#tls) : undefined;
    if (this.#closed) throw new SlotsError("CANCELLED", "the client is closed", { reason: "CLIENT_CLOSED" });
    const renewed = material !== undefined && material.fingerprint !== this.#material?.fingerprint;
    if (this.#channel === undefined || renewed || (fresh && isDown(this.#channel))) {
      // Closing lets calls that are running finish on the old channel.
      this.#channel?.close();
      this.#material = material ?? this.#material;
      this.#channel = this.#dial(this.#material);
    }
    return this.#channel;
  }

  /** The headers of a call, and the token in them (undefined when none is set up). */
  async headers(fresh: boolean): Promise<{ metadata: Metadata; token: string | undefined }> {
    const metadata = new Metadata();
    const token = await this.#token?.(fresh);
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    return { metadata, token };
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Has a call cancelled when the connection is closed; gives the function that says it ended. */
  running(cancel: () => void): () => void {
    this.#running.add(cancel);
    return () => this.#running.delete(cancel);
  }

  close(): void {
    this.#closed = true;
    // A channel that is closed lets its calls go on: they are ended here.
    for (const cancel of this.#running) cancel();
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #loadTls(load: () => Promise<TlsMaterial>): Promise<TlsMaterial> {
    try {
      const material = await load();
      this.#checkedAt = performance.now();
      return material;
    } catch (cause) {
      const message = `the TLS files do not load: ${asSlotsError(cause).message}`;
      throw new SlotsError("FAILED_PRECONDITION", message, { reason: "TLS_UNREADABLE", cause });
    }
  }

  #dial(material: TlsMaterial | undefined): Channel {
    if (material === undefined) {
      return new Channel(this.#address.target, credentials.createInsecure(), CHANNEL_OPTIONS);
    }
    const serverName = typeof this.#options.tls === "object" ? this.#options.tls.serverName : undefined;
    return new Channel(
      this.#address.target,
      credentials.createSsl(material.ca, material.key, material.cert),
      serverName === undefined
        ? CHANNEL_OPTIONS
        : {
            ...CHANNEL_OPTIONS,
            "grpc.ssl_target_name_override": serverName,
            "grpc.default_authority": serverName,
          },
    );
  }
}
