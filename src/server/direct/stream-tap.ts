import { subscribe } from "node:diagnostics_channel";
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

/** Takes a stream that just began; false leaves it to who has it otherwise. */
export type TakeStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => boolean;

/** Node's own word of each HTTP/2 stream, given before the session's `stream` event of it. */
const STREAM_CREATED = "http2.server.stream.created";

const TAKE = Symbol("takes streams first");
const TAPPED = Symbol("tapped");
type TappedSocket = Socket & { [TAKE]?: TakeStream };
type TappedSession = ServerHttp2Session & { [TAPPED]?: true };
type StreamListener = (...args: [ServerHttp2Stream, IncomingHttpHeaders, number, string[]]) => void;

let subscribed = false;

/**
 * Shows every stream of a connection to `take` before grpc-js gets it. It rests on what Node documents: a session
 * emits `stream`, and its listeners may be rearranged. On a Node without the channel nothing is taken, and grpc-js
 * has them all.
 */
export function tapStreams(socket: Socket, take: TakeStream): void {
  (socket as TappedSocket)[TAKE] = take;
  if (subscribed) return;
  subscribed = true;
  subscribe(STREAM_CREATED, (message) => {
    const session = (message as { readonly stream: ServerHttp2Stream }).stream.session as
      | TappedSession
      | undefined;
    if (session !== undefined && session[TAPPED] === undefined) tapSession(session);
  });
}

/** Once for each session, at its first stream. */
function tapSession(session: TappedSession): void {
  session[TAPPED] = true;
  const take = (session.socket as TappedSocket)[TAKE];
  if (take === undefined) return;
  const before = session.listeners("stream") as StreamListener[];
  session.removeAllListeners("stream");
  session.on("stream", (...args: Parameters<StreamListener>) => {
    if (take(args[0], args[1], args[2])) return;
    for (const listener of before) Reflect.apply(listener, session, args);
  });
}
