import type { OutgoingHttpHeaders } from "node:http2";
import type { OutgoingStream } from "../serve-stream.ts";
import type { Frame } from "../services/encode-reads.ts";
import type { GrpcStatus } from "../status.ts";
import { DirectCall, OK, RESPONSE, statusHeaders, WITH_TRAILERS } from "./direct-call.ts";

/** A watch on its HTTP/2 stream: asks as a read does, and is told until its status. */
export class WatchCall extends DirectCall implements OutgoingStream {
  #begun = false;

  write(frame: Frame, taken: () => void): void {
    if (this.isGone) {
      taken();
      return;
    }
    this.#begin();
    this.stream.write(frame, taken);
  }

  end(): void {
    if (!this.isLast()) return;
    this.#begin();
    this.#endWith(OK);
  }

  override fail(status: GrpcStatus): void {
    if (!this.#begun) super.fail(status);
    else if (this.isLast()) this.#endWith(statusHeaders(status));
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.stream.respond(RESPONSE, WITH_TRAILERS);
  }

  /** What was written before goes first. */
  #endWith(trailers: Record<string, unknown>): void {
    this.stream.once("wantTrailers", () => this.stream.sendTrailers(trailers as OutgoingHttpHeaders));
    this.stream.end();
    this.mayLinger();
  }
}
