import { once } from "node:events";
import { connect, type Socket } from "node:net";

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export const FRAME = {
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** One frame, whatever it says. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block without any compression. */
export function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const text = (value: string) => Buffer.concat([integer(value.length), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}

/** HPACK's integer with a prefix of seven bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A connection that follows no rules but those that it is told. */
export class RawHttp2 {
  readonly socket: Socket;
  received = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
    });
    socket.on("error", () => {});
  }

  static async open(address: string, greet = true): Promise<RawHttp2> {
    const [host = "", port = ""] = address.split(":");
    const socket = connect(Number(port), host);
    await once(socket, "connect");
    const raw = new RawHttp2(socket);
    if (greet) await raw.send(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0)]));
    return raw;
  }

  get open(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** Resolves when the bytes have left, the other side hung up, or it takes nothing for a while. */
  async send(bytes: Uint8Array): Promise<void> {
    if (!this.open || this.socket.write(bytes)) return;
    await Promise.race([
      once(this.socket, "drain").catch(() => {}),
      once(this.socket, "close").catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, 2000).unref()),
    ]);
  }

  close(): void {
    this.socket.destroy();
  }
}
