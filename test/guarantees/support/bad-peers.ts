import { deflateSync, gzipSync } from "node:zlib";
import type { Random } from "./random.ts";
import { FLAG, FRAME, frame, headerBlock, RawHttp2 } from "./raw-http2.ts";

/** What one bad peer is given to work with. */
export interface Attack {
  readonly address: string;
  readonly token: string;
  readonly random: Random;
  /** Past it, it stops: a flood is as good as its first seconds. Unix milliseconds. */
  readonly until: number;
}

type BadPeer = (attack: Attack) => Promise<readonly RawHttp2[]>;

const PATH = "/secretslots.v1.SecretService/GetSecret";
const APPLY_POLICIES = "/secretslots.v1.AdminService/ApplyPolicies";

function request(token: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": PATH,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
    ...more,
  });
}

/** Sends one thing again and again, in packets, for as long as it is let. */
async function flood(
  { address, until }: Attack,
  count: number,
  each: (index: number) => Buffer,
  begin: readonly Buffer[] = [],
): Promise<readonly RawHttp2[]> {
  const raw = await RawHttp2.open(address);
  for (const bytes of begin) await raw.send(bytes);
  for (let index = 0; index < count && raw.open && Date.now() < until; ) {
    const packet: Buffer[] = [];
    for (let more = 0; more < 64 && index < count; more += 1, index += 1) packet.push(each(index));
    await raw.send(Buffer.concat(packet));
  }
  return [raw];
}

/** A message of a call: one byte of flags, four of length. */
function message(flags: number, payload: Uint8Array, length = payload.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, payload]);
}

/** Cuts what is longer than one frame may be. */
function dataFrames(stream: number, bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) {
    const last = at + 16_384 >= bytes.length;
    frames.push(frame(FRAME.data, last ? FLAG.endStream : 0, stream, bytes.subarray(at, at + 16_384)));
  }
  return Buffer.concat(frames);
}

/** A field in a field in a field. */
function lengthDelimited(depth: number): Buffer {
  let bytes: Buffer = Buffer.alloc(0);
  for (let level = 0; level < depth; level += 1) {
    const length: number[] = [];
    let rest = bytes.length;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    bytes = Buffer.concat([Buffer.from([0x0a, ...length, rest]), bytes]);
  }
  return bytes;
}

async function one(address: string, bytes: Buffer): Promise<RawHttp2> {
  const raw = await RawHttp2.open(address);
  await raw.send(bytes);
  return raw;
}

/** Each does one thing that no client does. All are bounded, and leave their connections to be closed later. */
export const BAD_PEERS: Readonly<Record<string, BadPeer>> = {
  "rapid reset": (attack) =>
    flood(attack, 20_000, (index) => {
      const stream = 2 * index + 1;
      return Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, stream, request(attack.token)),
        frame(FRAME.rst, 0, stream, Buffer.from([0, 0, 0, 8])),
      ]);
    }),
  "streams that are opened and left": (attack) =>
    flood(attack, 5_000, (index) =>
      frame(FRAME.headers, FLAG.endHeaders, 2 * index + 1, request(attack.token)),
    ),
  "CONTINUATION without an end": (attack) =>
    flood(attack, 20_000, () => frame(FRAME.continuation, 0, 1, headerBlock({ a: "b".repeat(100) })), [
      frame(FRAME.headers, 0, 1, request(attack.token)),
    ]),
  "PING flood": (attack) => flood(attack, 100_000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
  "SETTINGS flood": (attack) => flood(attack, 50_000, () => frame(FRAME.settings, 0, 0)),
  "DATA of one byte": (attack) =>
    flood(attack, 50_000, () => frame(FRAME.data, 0, 1, Buffer.alloc(1)), [
      frame(FRAME.headers, FLAG.endHeaders, 1, request(attack.token)),
      frame(FRAME.data, 0, 1, message(0, Buffer.alloc(0), 100_000)),
    ]),
  "DATA of no byte": (attack) =>
    flood(attack, 50_000, () => frame(FRAME.data, 0, 1), [
      frame(FRAME.headers, FLAG.endHeaders, 1, request(attack.token)),
    ]),
  "headers that are no HPACK": async ({ address, random }) =>
    Promise.all(
      Array.from({ length: 50 }, () =>
        one(address, frame(FRAME.headers, FLAG.endHeaders, 1, random.bytes(1 + random.below(200)))),
      ),
    ),
  "frames of random bytes": async ({ address, random }) =>
    Promise.all(
      Array.from({ length: 50 }, () =>
        one(
          address,
          frame(random.below(16), random.below(256), random.below(8), random.bytes(random.below(100))),
        ),
      ),
    ),
  "no HTTP at all": async ({ address, random }) =>
    Promise.all(
      Array.from({ length: 50 }, async () => {
        const raw = await RawHttp2.open(address, false);
        await raw.send(random.bytes(500));
        return raw;
      }),
    ),
  "headers of a mebibyte": async ({ address, token }) => {
    const block = request(token, { "x-large": "x".repeat(1 << 20) });
    const parts: Buffer[] = [];
    for (let at = 0; at < block.length; at += 16_384) {
      const last = at + 16_384 >= block.length;
      const type = at === 0 ? FRAME.headers : FRAME.continuation;
      parts.push(frame(type, last ? FLAG.endHeaders : 0, 1, block.subarray(at, at + 16_384)));
    }
    return [await one(address, Buffer.concat(parts))];
  },
  "a message of four gibibytes": async ({ address, token }) => [
    await one(
      address,
      Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, 1, request(token)),
        frame(FRAME.data, 0, 1, message(0, Buffer.alloc(10_000), 0xff_ff_ff_ff)),
      ]),
    ),
  ],
  "a compressed bomb": async ({ address, token }) => {
    const bomb = message(1, gzipSync(Buffer.alloc(64 << 20)));
    const call = Buffer.concat([
      frame(FRAME.headers, FLAG.endHeaders, 1, request(token, { "grpc-encoding": "gzip" })),
      dataFrames(1, bomb),
    ]);
    return Promise.all(Array.from({ length: 4 }, () => one(address, call)));
  },
  "compressed bombs of every kind": async ({ address, token }) => {
    const zeros = Buffer.alloc(64 << 20);
    const bombs = {
      gzip: gzipSync(zeros),
      deflate: deflateSync(zeros),
      identity: gzipSync(zeros),
      br: gzipSync(zeros),
    };
    const calls = Object.entries(bombs).map(([encoding, bytes]) =>
      Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, 1, request(token, { "grpc-encoding": encoding })),
        dataFrames(1, message(1, bytes)),
      ]),
    );
    return Promise.all(calls.map((call) => one(address, call)));
  },
  "nesting bombs": async ({ address, token }) => {
    const bytes = 4_000_000;
    const nested = [
      // Groups that open and never close; groups in groups; a policy in a policy's bytes.
      Buffer.alloc(bytes, 0x0b),
      Buffer.concat([Buffer.alloc(bytes / 2, 0x7b), Buffer.alloc(bytes / 2, 0x7c)]),
      lengthDelimited(4000),
    ];
    return Promise.all(
      nested.map((payload) =>
        one(
          address,
          Buffer.concat([
            frame(FRAME.headers, FLAG.endHeaders, 1, request(token, { ":path": APPLY_POLICIES })),
            dataFrames(1, message(0, payload)),
          ]),
        ),
      ),
    );
  },
  "absurd deadlines": async ({ address, token }) => {
    const deadlines = ["99999999H", "0n", "-1S", "abc", "123456789S", "1", "", "1e9S", "９S", "0x1S"];
    const calls = deadlines.map((deadline, index) =>
      Buffer.concat([
        frame(FRAME.headers, FLAG.endHeaders, 2 * index + 1, request(token, { "grpc-timeout": deadline })),
        frame(FRAME.data, FLAG.endStream, 2 * index + 1, message(0, Buffer.from([10, 1, 97]))),
      ]),
    );
    return [await one(address, Buffer.concat(calls))];
  },
  "connections that say nothing": async ({ address }) =>
    Promise.all(Array.from({ length: 300 }, () => RawHttp2.open(address, false))),
  "connections that greet and stop": async ({ address }) =>
    Promise.all(Array.from({ length: 300 }, () => RawHttp2.open(address))),
};
