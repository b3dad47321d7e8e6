import type { ServerWritableStream } from "@grpc/grpc-js";
import { SlotsError } from "../domain/errors.ts";

/**
 * Writes one message and waits until the transport has taken it, so that at most one event of a stream waits in
 * the server beyond the flow-control window (W5). A reader that takes nothing for `slowMs` is let go (W13).
 */
export function writeMessage(
  stream: ServerWritableStream<Buffer, Buffer>,
  message: Buffer,
  signal: AbortSignal,
  slowMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      if (error === undefined) resolve();
      else reject(error);
    };
    const aborted = () => finish();
    const timer = setTimeout(() => {
      finish(
        new SlotsError(
          "SLOW_CONSUMER",
          `one message was not taken for ${slowMs / 1000} s; resume when ready`,
          {
            retryAfterMs: 1000,
          },
        ),
      );
    }, slowMs);
    signal.addEventListener("abort", aborted, { once: true });
    // A write that fails means that the stream is gone: its signal says so, or is about to.
    stream.write(message, () => finish());
  });
}
