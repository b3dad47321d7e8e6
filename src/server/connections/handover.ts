/** Comes with the socket of a connection, from the process that has the address. */
export interface Offer {
  readonly kind: "connection";
  readonly id: number;
}

/** What a worker says of connections to the process that has the address. */
export type WorkerSays =
  | { readonly kind: "connections-open" }
  | { readonly kind: "connection-taken"; readonly id: number }
  | { readonly kind: "connections-closed" };
