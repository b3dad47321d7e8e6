import type { TlsOptions } from "./tls-files.ts";
import type { TokenOptions } from "./token-source.ts";

/** Takes what an operator should know; never given a value or a token. */
export type Warn = (message: string) => void;

/** How to reach the server and as whom. */
export type ConnectOptions = TokenOptions & {
  /** `host:port`, `[v6]:port` or `unix:PATH`. */
  readonly address: string;
  /** Switches TLS on; `true` for the system's roots. Files are read again when they change. */
  readonly tls?: TlsOptions | boolean | undefined;
  /** Allows a token over plaintext to an address that is not this machine. */
  readonly allowPlaintext?: boolean | undefined;
  /** Deadline of a unary call, all attempts together, milliseconds. 5,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** Attempts of a unary call that fails UNAVAILABLE. 5 by default; 1 for none but the first. */
  readonly maxAttempts?: number | undefined;
  /** Takes warnings; silent by default. */
  readonly onWarning?: Warn | undefined;
};

/** Options of one call. */
export type CallOptions = {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};
