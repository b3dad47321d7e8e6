import { Socket } from "node:net";
import type { ConnectionSource } from "./connection-source.ts";
import type { GivenUp, Offer, WorkerSays } from "./handover.ts";

/** Connections that the process that started this one hands over (`Dispatcher`). */
export class HandedSource implements ConnectionSource {
  #open = false;

  async open(accept: (socket: Socket) => void): Promise<undefined> {
    process.on("message", (message: Offer | GivenUp, socket: unknown) => {
      // It comes without its socket when it was given up before it was sent.
      if (message.kind !== "connection" || !(socket instanceof Socket)) return;
      if (this.#open) {
        // First of all, and at once in the pipe: nothing may be read from a connection that could go to another worker.
        this.#say({ kind: "connection-taken", id: message.id });
        accept(socket);
      } else {
        // Not the connection, only this copy: another worker gets it.
        socket.destroy();
      }
    });
    this.#open = true;
    this.#say({ kind: "connections-open" });
  }

  close(): void {
    this.#open = false;
    this.#say({ kind: "connections-closed" });
  }

  #say(message: WorkerSays): void {
    // Without the other process there is nobody to tell, and this one ends.
    process.send?.(message, undefined, undefined, () => {});
  }
}
