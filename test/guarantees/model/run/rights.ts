import type { Watch } from "../history.ts";
import { machineMs } from "../machine/heartbeat.ts";
import type { Action } from "../program.ts";
import type { World } from "../world.ts";
import type { Context } from "./context.ts";

/** Takes a client's token or rights, or gives these back. */
export async function changeRights(
  { world, recorder }: Context,
  { do: what, client, server }: Action & { do: "revoke" | "ungrant" | "grant" },
): Promise<void> {
  const start = recorder.tick();
  const token = world.token(client);
  const revision =
    what === "revoke"
      ? await world.revoke(client, server)
      : await world.grant(client, what === "grant", server);
  recorder.add({
    type: "access",
    start,
    end: recorder.tick(),
    ms: machineMs(),
    what: ({ revoke: "token", ungrant: "grant", grant: "back" } as const)[what],
    client,
    token,
    revision,
  });
  if (what === "revoke") await world.renew(client);
}

/** Whether the client still has the token it opened this watch with, and its rights. */
export function mayWatch(world: World, { client, token }: Watch): boolean {
  return world.token(client) === token && !world.ungranted.includes(client);
}
