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

/** Call when nobody writes any more. */
export async function finishRotation({ world, recorder }: Context): Promise<void> {
  const left = await world.finishRotation(0);
  recorder.add({ type: "rotated", at: recorder.tick(), left });
}
