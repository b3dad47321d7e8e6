import type { Socket } from "node:net";

/** Where a process gets its connections from: an address of its own, or the process that has the address. */
export interface ConnectionSource {
  /** Resolves once connections come, with the address in use; undefined when it is another process's to tell. */
  open(accept: (socket: Socket) => void): Promise<string | undefined>;
  /** No more come; those that came go on. */
  close(): void;
}
