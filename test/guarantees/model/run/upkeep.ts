import type { Action } from "../program.ts";
import type { Context } from "./context.ts";

/** What an operator or the machine does while the servers go on. */
export async function upkeep(
  { world, recorder }: Context,
  action: Action & { do: "rotate" | "checkpoint" | "clock" | "hold" },
): Promise<void> {
  const { do: _, ...details } = action;
  const what = `${action.do} ${Object.values(details).join(" ")}`;
  recorder.add({ type: "upkeep", at: recorder.tick(), what });
  switch (action.do) {
    case "rotate":
      return world.rotate(action.server);
    case "checkpoint":
      return world.checkpoint(action.mode);
    case "clock":
      return world.machine.setClock(action.offsetMs);
    case "hold":
      return world.hold(action.server, action.ms);
  }
}

/** Everything that happened so far is forgotten, but for the last of it; call with nothing under way. */
export async function forget(context: Context): Promise<void> {
  await context.world.forget();
  noteForgotten(context);
}

/** What a world has forgotten is so for whatever runs in it next. */
export function noteForgotten({ world: { floor }, recorder }: Context): void {
  if (floor > 0n) recorder.add({ type: "forgotten", at: recorder.tick(), floor });
}

/** Call when nobody writes any more. */
export async function finishRotation({ world, recorder }: Context): Promise<void> {
  const left = await world.finishRotation(0);
  recorder.add({ type: "rotated", at: recorder.tick(), left });
}
