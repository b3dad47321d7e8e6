import { invalidArgument } from "./errors.ts";

export type Address = {
  /** What grpc-js dials. */
  readonly target: string;
  /** Whether bytes stay on this machine, so that a token may travel without TLS. */
  readonly local: boolean;
};

const HOST_PORT = /^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/;
const IPV4_LOOPBACK = /^127(?:\.[0-9]{1,3}){3}$/;

/** Parses `host:port`, `[v6]:port` or `unix:PATH`. */
export function parseAddress(address: string): Address {
  if (address.startsWith("unix:")) {
    const path = address.slice("unix:".length);
    if (path === "") throw invalidArgument("the address has no path after unix:");
    return { target: `unix:${path}`, local: true };
  }
  const match = HOST_PORT.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) {
    throw invalidArgument(`the address must be host:port, [v6]:port or unix:PATH, not "${address}"`);
  }
  const [, v6, host] = match;
  const local =
    v6 === undefined ? host!.toLowerCase() === "localhost" || IPV4_LOOPBACK.test(host!) : v6 === "::1";
  return { target: v6 === undefined ? `dns:${host}:${port}` : `ipv6:[${v6}]:${port}`, local };
}
