import type { Pipe, PipeMessage } from "./remote-channel.ts";

/** What a child process and the `process` of that child have in common. */
interface IpcPeer {
  readonly connected: boolean;
  send?(message: PipeMessage, done: (error: Error | null) => void): unknown;
  on(event: "message", listener: (message: unknown) => void): unknown;
  once(event: "disconnect", listener: () => void): unknown;
}

/** A pipe over the IPC of a child process, which must be forked with `serialization: "advanced"`. */
export function processPipe(peer: IpcPeer): Pipe {
  return {
    send(message) {
      // A peer that is gone is told by `disconnect`.
      if (peer.connected) peer.send?.(message, () => {});
    },
    onMessage(take) {
      peer.on("message", (message) => {
        if (isPipeMessage(message)) take(message);
      });
    },
    onEnd(ended) {
      peer.once("disconnect", ended);
    },
  };
}

function isPipeMessage(message: unknown): message is PipeMessage {
  if (typeof message !== "object" || message === null || !("kind" in message)) return false;
  return message.kind === "store-writes" || message.kind === "store-answers";
}
