import type { ServerStream } from "./calls.ts";
import { SlotsError } from "./errors.ts";

const FIRST_MESSAGE_MS = 20_000;
/** The server sends `progress` every 10 s: four missed ones are a dead server behind a live connection. */
const SILENCE_MS = 40_000;

/** The messages of a watch, cancelled as UNAVAILABLE when the server falls silent. */
export async function* guarded<T>(stream: ServerStream<T>): AsyncGenerator<T, void, undefined> {
  let silent = false;
  let timer: NodeJS.Timeout | undefined;
  const arm = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      stream.cancel();
    }, ms);
  };
  arm(FIRST_MESSAGE_MS);
  try {
    for await (const message of stream.messages) {
      // Not while the consumer works: its slowness is not the server's silence.
      clearTimeout(timer);
      yield message;
      arm(SILENCE_MS);
    }
  } catch (error) {
    if (silent) throw new SlotsError("UNAVAILABLE", "the server fell silent", { reason: "SILENT" });
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
