import { readFile } from "node:fs/promises";
import { invalidArgument, SlotsError } from "./errors.ts";
import type { Warn } from "./options.ts";

/** Where the bearer token comes from; at most one of the two. */
export type TokenOptions = {
  /** The token, or a function that gives it before each stream and each unary call. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** A file that holds it and may change; whitespace around it is dropped. */
  readonly tokenFile?: string | undefined;
};

/** Gives the token; `fresh` reads a file again however lately it was read. */
export type TokenSource = (fresh: boolean) => Promise<string | undefined>;

const FILE_TTL_MS = 1000;

/** Refused here, because grpc-js would put the text of a bad header value into its error. */
function checked(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new SlotsError("UNAUTHENTICATED", "the token is empty or has characters that no token has", {
      reason: "TOKEN_UNREADABLE",
    });
  }
  return token;
}

function fromFile(path: string, warn: Warn): TokenSource {
  let last: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return async (fresh) => {
    if (!fresh && last !== undefined && performance.now() - readAt < FILE_TTL_MS) return last;
    try {
      last = checked((await readFile(path, "utf8")).trim());
      readAt = performance.now();
    } catch (cause) {
      if (last === undefined) {
        throw new SlotsError("UNAUTHENTICATED", `no token can be read from ${path}`, {
          reason: "TOKEN_UNREADABLE",
          cause,
        });
      }
      warn(`the token file ${path} cannot be read; the last good token stays in use`);
    }
    return last;
  };
}

export function tokenSource({ token, tokenFile }: TokenOptions, warn: Warn): TokenSource | undefined {
  if (token !== undefined && tokenFile !== undefined) {
    throw invalidArgument("give either token or tokenFile, not both");
  }
  if (tokenFile !== undefined) return fromFile(tokenFile, warn);
  if (token === undefined) return undefined;
  if (typeof token === "function") return async () => checked(await token());
  const constant = checked(token);
  return () => Promise.resolve(constant);
}
