import { randomBytes } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { backoffMs, sleep } from "./backoff.ts";
import { unaryAttempt } from "./calls.ts";
import type { Connection } from "./connection.ts";
import { SlotsError } from "./errors.ts";
import type { CallOptions } from "./options.ts";

export type RetryPolicy = { readonly timeoutMs: number; readonly maxAttempts: number };

const READS = /^(Get|List|Describe|WhoAmI$|CheckAccess$)/;

/**
 * A unary call with deadline and retries. UNAVAILABLE is tried again when the method only reads, or when the
 * request has a `request_id`, which is filled in here, so that the server does the change once. UNAUTHENTICATED
 * is tried again once when the token has changed since.
 */
export async function callUnary<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  policy: RetryPolicy,
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
  options: CallOptions = {},
): Promise<MessageShape<O>> {
  const request = create(method.input, init);
  const retryable = identify(request) || READS.test(method.name);
  const deadline = Date.now() + (options.timeoutMs ?? policy.timeoutMs);
  const { signal } = options;

  let fresh = false;
  let failures = 0;
  let reauthenticated = false;
  while (true) {
    const attempt = await unaryAttempt(connection, method, request, {
      deadline: new Date(deadline),
      signal,
      fresh,
    });
    if (attempt.ok) return attempt.value;
    const { error, token } = attempt;
    failures++;

    if (error.code === "UNAUTHENTICATED" && !reauthenticated) {
      reauthenticated = true;
      if ((await connection.headers(true)).token === token) throw error;
      fresh = true;
      continue;
    }
    if (error.code !== "UNAVAILABLE" || !retryable || failures >= policy.maxAttempts) throw error;
    fresh = true;
    const wait = Math.max(error.retryDelayMs ?? 0, backoffMs(failures - 1));
    if (Date.now() + wait >= deadline) throw error;
    await sleep(wait, signal);
    if (signal?.aborted) throw new SlotsError("CANCELLED", "the call was cancelled", { reason: "CANCELLED" });
  }
}

/** Gives a request that can carry a request id one, if it has none. True when it carries one. */
function identify(request: object): boolean {
  if (!("requestId" in request)) return false;
  request.requestId ||= randomBytes(16).toString("hex");
  return true;
}
