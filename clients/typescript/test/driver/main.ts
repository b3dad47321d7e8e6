import { SlotsError, VERSION } from "../../src/index.ts";
import { callOps, clients } from "./calls.ts";
import { handleOps, sets } from "./handles.ts";
import { type DriverError, serve } from "./protocol.ts";

function describe(error: unknown): DriverError {
  if (error instanceof SlotsError) {
    const { code, reason, message, metadata } = error;
    return { code, reason, message, metadata: { ...metadata } };
  }
  return { code: "INTERNAL", reason: "", message: String(error), metadata: {} };
}

await serve({ hello: () => ({ lang: "typescript", version: VERSION }), ...callOps, ...handleOps }, describe);
for (const set of sets.values()) await set.secrets.close();
for (const client of clients.values()) client.close();
process.exit(0);
