import { delimiter, join } from "node:path";

/** Whatever the tests start uses the project's own Node and tools. */
export default function setup(): void {
  const bin = join(import.meta.dirname, "../../node_modules/.bin");
  process.env.PATH = `${bin}${delimiter}${process.env.PATH ?? ""}`;
}
