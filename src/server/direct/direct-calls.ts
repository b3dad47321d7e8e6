import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Metadata, status } from "@grpc/grpc-js";
import { SecretService } from "../../../gen/ts/secretslots/v1/secret_service_pb.ts";
import type { AuditLog } from "../../audit/audit-log.ts";
import type { Call } from "../../core/call.ts";
import type { OpenedSecrets } from "../../core/opened-secrets.ts";
import type { Outcome } from "../../core/reads.ts";
import { isWatch, type Rpc, type WatchRpc } from "../../core/required-action.ts";
import { SlotsError } from "../../domain/errors.ts";
import type { Head } from "../../storage/records.ts";
import type { Gate, UnaryRpc } from "../adapter.ts";
import { serveStream } from "../serve-stream.ts";
import { type Frame, frameOf, PREFIX_BYTES } from "../services/encode-reads.ts";
import type { ReadRpc, ReadService } from "../services/read-service.ts";
import type { WatchService } from "../services/watch-service.ts";
import { type GrpcStatus, grpcStatus, toSlotsError } from "../status.ts";
import { UnfinishedRequests } from "../unfinished-requests.ts";
import { DirectCall, type DirectCallEvents, DirectConnection } from "./direct-call.ts";
import { tapStreams } from "./stream-tap.ts";
import { WatchCall } from "./watch-call.ts";

export interface DirectCallsOptions {
  readonly reads: ReadService;
  readonly watches: WatchService;
  /** All that there are; the reads among them are answered by `reads`. */
  readonly unary: readonly UnaryRpc[];
  readonly opened: OpenedSecrets;
  readonly gate: Gate;
  readonly log: Pick<AuditLog, "flush">;
  readonly maxMessageBytes: number;
}

const READS: readonly Rpc[] = ["GetSecret", "GetEffectiveAt"] satisfies readonly ReadRpc[];
const WATCHES = ["WatchSecret", "WatchSlots"] satisfies readonly WatchRpc[];
/** What unfinished requests may hold, in requests of the largest size. */
const UNFINISHED_REQUESTS = 16;

/** Reads that may leave together: one promise says that all of them are in the audit log. */
interface Answers {
  readonly written: Promise<void>;
  readonly calls: { readonly call: DirectCall; readonly outcome: Outcome<Frame> }[];
}

/** Calls that seal a value, open a watch or list a page, of which one turn serves no more: reads go on in between. */
const SERVED_A_TURN = 16;

interface Waiting {
  readonly call: DirectCall;
  readonly message: Uint8Array;
  /** Where the store stood after it had come in. */
  readonly head: Head | undefined;
}

/**
 * Answers unary calls and watches straight on their HTTP/2 streams. The reads that came in one turn of the event loop are
 * answered together: one look at where the store stands, then one write of the audit log, then the answers. Only calls of
 * the plainest shape are taken; whatever is compressed or odd goes to grpc-js, which gives the same answers.
 *
 * The one look is as fresh as one for each call would be (W10): every call of the turn had come in before it.
 */
export class DirectCalls implements DirectCallEvents {
  readonly maxRequestBytes: number;
  readonly #options: DirectCallsOptions;
  /** By path. */
  readonly #rpcs: ReadonlyMap<string | undefined, Rpc>;
  readonly #unary: ReadonlyMap<Rpc, UnaryRpc["serve"]>;
  readonly #unfinished: UnfinishedRequests;
  #arrived: DirectCall[] = [];
  /** Began in this turn. */
  #begun: DirectCall[] = [];
  /** Began in this turn, and is grpc-js's. */
  #others: ServerHttp2Stream[] = [];
  /** Answered since the last turn. */
  #answered: DirectCall[] = [];
  /** Arrived, and no reads. */
  readonly #waiting: Waiting[] = [];
  #scheduled = false;

  constructor(options: DirectCallsOptions) {
    this.#options = options;
    this.maxRequestBytes = options.maxMessageBytes + PREFIX_BYTES;
    this.#unfinished = new UnfinishedRequests(UNFINISHED_REQUESTS * this.maxRequestBytes);
    this.#rpcs = new Map([
      ...options.unary.map(({ path, rpc }) => [path, rpc] as const),
      ...WATCHES.map((rpc) => [`/${SecretService.typeName}/${rpc}`, rpc] as const),
    ]);
    this.#unary = new Map(options.unary.map(({ rpc, serve }) => [rpc, serve]));
  }

  /** Call before grpc-js is given the connection. */
  attach(socket: Socket): void {
    const connection = new DirectConnection(socket);
    tapStreams(socket, (stream, headers, flags) => {
      const taken = this.#take(connection, stream, headers, flags);
      if (!taken) {
        this.#others.push(stream);
        this.#soon();
      }
      return taken;
    });
  }

  arrived(call: DirectCall): void {
    this.#arrived.push(call);
    this.#soon();
  }

  tooLong(call: DirectCall, bytes: number): void {
    call.fail(tooLarge(bytes - PREFIX_BYTES, this.#options.maxMessageBytes));
  }

  tooMany(call: DirectCall): void {
    call.fail(
      protocolError(
        status.RESOURCE_EXHAUSTED,
        "too many requests are under way that have not come whole, and this is the oldest; send each in one go",
      ),
    );
  }

  late(call: DirectCall): void {
    const error = deadlinePassed();
    // A watch ends as it does for any other reason, once it runs.
    if (!(call instanceof WatchCall && call.isComplete)) call.fail(grpcStatus(error));
    call.abort(error);
  }

  answered(call: DirectCall): void {
    this.#answered.push(call);
    this.#soon();
  }

  #take(
    connection: DirectConnection,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
  ): boolean {
    const rpc = this.#rpcs.get(headers[":path"]);
    if (rpc === undefined || (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0 || !isPlain(headers))
      return false;
    const timeout = timeoutOf(headers["grpc-timeout"]);
    if (timeout === undefined) return false;
    const Kind = isWatch(rpc) ? WatchCall : DirectCall;
    this.#begun.push(new Kind(rpc, connection, stream, headers.authorization, timeout, this));
    this.#soon();
    return true;
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After all that this turn has to read.
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#scheduled = false;
    const [arrived, begun, others, answered] = [this.#arrived, this.#begun, this.#others, this.#answered];
    this.#arrived = [];
    this.#begun = [];
    this.#others = [];
    this.#answered = [];
    // Almost every request is here by now and every answer taken, and needs neither a timer nor a count.
    for (const call of begun) {
      if (call.isComplete) continue;
      call.keepDeadline();
      call.gather(this.#unfinished);
    }
    for (const stream of others) if (!stream.readableEnded && !stream.closed) this.#unfinished.follow(stream);
    for (const call of answered) if (!call.isSent) call.linger(this.#options.gate.alarms);
    if (arrived.length > 0) this.#answer(arrived);
    if (this.#waiting.length > 0) this.#serveSome();
  };

  #answer(calls: readonly DirectCall[]): void {
    const { gate, opened, log } = this.#options;
    const head = opened.trySync();
    let answers: Answers | undefined;
    for (const call of calls) {
      const message = this.#messageOf(call);
      if (message === undefined || call.isGone) continue;
      if (!READS.includes(call.rpc)) {
        this.#waiting.push({ call, message, head });
        continue;
      }
      let outcome: Outcome<Frame>;
      try {
        const entered = gate.enter(call, head);
        if (entered instanceof Promise) {
          void this.#answerLater(call, message, entered);
          continue;
        }
        outcome = this.#read(call, message, entered);
      } catch (thrown) {
        this.#fail(call, thrown);
        continue;
      }
      if (answers?.written !== outcome.written) {
        if (answers !== undefined) this.#send(answers);
        answers = { written: outcome.written, calls: [] };
      }
      answers.calls.push({ call, outcome });
    }
    if (answers !== undefined) this.#send(answers);
    // All that came in this turn is in it: after the turn it would wait for whatever the next one has to do.
    log.flush();
  }

  #serveSome(): void {
    for (const { call, message, head } of this.#waiting.splice(0, SERVED_A_TURN)) {
      if (call instanceof WatchCall) this.#watch(call, head);
      else void this.#serve(call, message, head);
    }
    if (this.#waiting.length > 0) this.#soon();
  }

  async #answerLater(call: DirectCall, message: Uint8Array, entered: Promise<Call>): Promise<void> {
    call.keepDeadline();
    try {
      const outcome = this.#read(call, message, await entered);
      this.#send({ written: outcome.written, calls: [{ call, outcome }] });
    } catch (thrown) {
      this.#fail(call, thrown);
    }
  }

  async #serve(call: DirectCall, message: Uint8Array, head: Head | undefined): Promise<void> {
    const { gate } = this.#options;
    call.keepDeadline();
    try {
      const serve = this.#unary.get(call.rpc);
      if (serve === undefined) throw new Error(`nothing serves ${call.rpc}`);
      const entered = gate.enter(call, head);
      const frame = frameOf(await serve(message, entered instanceof Promise ? await entered : entered));
      gate.ended(call, undefined);
      call.answer(frame);
    } catch (thrown) {
      this.#fail(call, thrown);
    }
  }

  #watch(call: WatchCall, head: Head | undefined): void {
    call.keepDeadline();
    const { gate, watches } = this.#options;
    void serveStream(
      call,
      call,
      gate,
      (known, send) => watches.watch(call.rpc as WatchRpc, takeMessage(call), known, send),
      head,
    );
  }

  #read(call: DirectCall, message: Uint8Array, known: Call): Outcome<Frame> {
    return this.#options.reads.read(call.rpc as ReadRpc, message, known);
  }

  #send({ written, calls }: Answers): void {
    written.then(
      () => {
        for (const { call, outcome } of calls) {
          if ("error" in outcome) this.#fail(call, outcome.error);
          else if (call.isLate) this.#fail(call, deadlinePassed());
          else {
            this.#options.gate.ended(call, undefined);
            call.answer(outcome.answer);
          }
        }
      },
      // What is not in the log does not leave (S4).
      (unwritten: unknown) => {
        for (const { call } of calls) this.#fail(call, unwritten);
      },
    );
  }

  #fail(call: DirectCall, thrown: unknown): void {
    const error = toSlotsError(thrown);
    this.#options.gate.ended(call, error);
    call.fail(grpcStatus(error));
  }

  /** The one message of a request; without one the call is over. The words are grpc-js's: it is not of our errors. */
  #messageOf(call: DirectCall): Uint8Array | undefined {
    const { request = NOTHING } = call;
    const length = request.length < PREFIX_BYTES ? undefined : request.readUInt32BE(1);
    if (length !== undefined && length > this.#options.maxMessageBytes) {
      call.fail(tooLarge(length, this.#options.maxMessageBytes));
    } else if (length === undefined || PREFIX_BYTES + length > request.length) {
      call.fail(protocolError(status.UNIMPLEMENTED, "the call ended without a whole request message"));
    } else if (PREFIX_BYTES + length < request.length) {
      call.fail(protocolError(status.UNIMPLEMENTED, "the call brought more than one request message"));
    } else {
      return request.subarray(PREFIX_BYTES);
    }
    return undefined;
  }
}

const NOTHING = Buffer.alloc(0);

/** The message of a request that was looked at before, which the call keeps no longer. */
function takeMessage(call: DirectCall): Uint8Array {
  const { request = NOTHING } = call;
  call.request = undefined;
  return request.subarray(PREFIX_BYTES);
}

/** What every gRPC library sends; all else is left to grpc-js, two identities in one header among it. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  const encoding = headers["grpc-encoding"];
  return (
    headers[":method"] === "POST" &&
    (type === "application/grpc" || type === "application/grpc+proto") &&
    (encoding === undefined || encoding === "identity") &&
    headers.authorization?.includes(",") !== true
  );
}

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** The longest that a timer can wait; a caller with more patience has no deadline here. */
const LONGEST_MS = 2 ** 31 - 1;

/** Milliseconds; Infinity without a deadline, undefined for what is none. */
function timeoutOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return Number.POSITIVE_INFINITY;
  const [, amount, unit = ""] = (typeof header === "string" && TIMEOUT.exec(header)) || [];
  const milliseconds = Number(amount) * (UNIT_MS[unit] ?? Number.NaN);
  if (Number.isNaN(milliseconds)) return undefined;
  return milliseconds > LONGEST_MS ? Number.POSITIVE_INFINITY : milliseconds;
}

function deadlinePassed(): SlotsError {
  return new SlotsError("DEADLINE_EXCEEDED", "the deadline passed");
}

function tooLarge(bytes: number, max: number): GrpcStatus {
  return protocolError(status.RESOURCE_EXHAUSTED, `Received message larger than max (${bytes} vs ${max})`);
}

function protocolError(code: status, details: string): GrpcStatus {
  return { code, details, metadata: new Metadata() };
}
