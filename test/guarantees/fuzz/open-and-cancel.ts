import type { Attack } from "../support/bad-peers.ts";
import { type CallKind, callHeaders, FastCalls } from "./fast-calls.ts";

/** Calls on their way at once on one connection. */
const AT_ONCE = 100;

/**
 * Opens calls and cancels each at once, or a moment later: before the server knows of it, while it works, or after it
 * answered. A connection that cancels much is ended by the server; the next one then goes on.
 */
export async function openAndCancel(
  { address, token, random }: Pick<Attack, "address" | "token" | "random">,
  count: number,
): Promise<{ readonly connections: number; readonly cancelled: number }> {
  const kind = (path: string): CallKind => ({
    headers: callHeaders(`/secretslots.v1.SecretService/${path}`, token),
    cancelAtMessage: false,
    silenceMs: 0,
  });
  // A secret's name; for the watch that it may be missing; for the put a slot, a value and `overwrite`.
  const name = Buffer.from("\n\u0008cancel/a", "latin1");
  const calls = [
    { kind: kind("GetSecret"), payload: name },
    { kind: kind("WatchSecret"), payload: Buffer.concat([name, Buffer.from([0x18, 1])]) },
    { kind: kind("PutSlot"), payload: Buffer.concat([name, Buffer.from([0x10, 1, 0x22, 1, 0x76, 0x30, 1])]) },
  ];
  let connections = 0;
  let cancelled = 0;
  for (let left = count; left > 0; ) {
    const connection = await FastCalls.open(address);
    connections += 1;
    while (left > 0 && connection.usable) {
      const some = Math.min(left, AT_ONCE);
      left -= some;
      const endings = await Promise.allSettled(
        Array.from({ length: some }, () => {
          const { kind, payload } = random.pick(calls);
          return connection.call(kind, payload);
        }),
      );
      cancelled += endings.filter((each) => each.status === "fulfilled" && each.value === "silence").length;
    }
    connection.close();
  }
  return { connections, cancelled };
}
