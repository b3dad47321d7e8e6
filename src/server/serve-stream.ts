import type { Call, Send } from "../core/call.ts";
import type { Head } from "../storage/records.ts";
import type { Gate } from "./adapter.ts";
import { MessageWriter } from "./message-writer.ts";
import type { AbortableCall } from "./server-call.ts";
import { type GrpcStatus, grpcStatus, toSlotsError } from "./status.ts";

/** Where the messages of a stream go, whoever carries them. */
export interface OutgoingStream {
  /** Calls `taken` once the transport has the message, or can't have it. */
  write(message: Buffer, taken: () => void): unknown;
  end(): void;
  fail(status: GrpcStatus): void;
}

/** Runs a stream from its caller's identity to its status. `head`: as for `Gate.enter`. */
export async function serveStream(
  call: AbortableCall,
  out: OutgoingStream,
  gate: Gate,
  run: (known: Call, send: Send<Buffer>) => Promise<void>,
  head?: Head,
): Promise<void> {
  const writer = new MessageWriter(out, call, gate);
  try {
    gate.streams.add(call);
    const known = await gate.enter(call, head);
    await run(known, (message, taken) => writer.write(message, taken));
    if (call.signal.aborted) throw call.signal.reason;
    gate.ended(call, undefined);
    out.end();
  } catch (thrown) {
    const error = toSlotsError(thrown);
    gate.ended(call, error);
    out.fail(grpcStatus(error));
  } finally {
    gate.streams.delete(call);
    writer.close();
  }
}
