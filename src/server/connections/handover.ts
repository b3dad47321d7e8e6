/** Comes with the socket of a connection, from the process that has the address. */
export interface Offer {
  readonly kind: "connection";
  readonly id: number;
}

/** No answer is needed: it is sent to see whether anything gets to the worker. */
export interface GivenUp {
  readonly kind: "connection-given-up";
  readonly id: number;
}

/** What a worker says of connections to the process that has the address. */
export type WorkerSays =
  | { readonly kind: "connections-open" }
  | { readonly kind: "connection-taken"; readonly id: number }
  | { readonly kind: "connections-closed" };
