import type { Validator } from "../history.ts";

/** A rotation of the master key that nobody wrote beside leaves nothing to another key, so that one may be thrown away. */
export const rotation: Validator = (history) =>
  history.flatMap((entry) =>
    entry.type === "rotated" && entry.left > 0
      ? [
          {
            promise: "rotation",
            at: entry.at,
            text: `${entry.left} records are wrapped by a key that is not the primary, after a rotation to it`,
          },
        ]
      : [],
  );
