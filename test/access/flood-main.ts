import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { Wire, WireError } from "../support/wire.ts";

/** Tries so many wrong tokens as fast as it is answered, each another one, and prints how often each code came. */
const [address = "", tries = "0"] = process.argv.slice(2);
const CONNECTIONS = 8;
const AT_ONCE = Number(process.env.SLOTS_TEST_AT_ONCE ?? 32);
const codes: Record<string, number> = {};
let left = Number(tries);

const connections = Array.from({ length: CONNECTIONS }, () => new Wire(address, undefined));
const { parent, name } = AdminService.method.whoAmI;

async function tryAll(wire: Wire): Promise<void> {
  while (left > 0) {
    left -= 1;
    // Of the right form, so that the server has to look for it; every tenth has a wrong checksum.
    const token = left % 10 === 0 ? `${generateToken().slice(0, -1)}~` : generateToken();
    const headers = { authorization: `Bearer ${token}` };
    const code = await wire.raw(parent.typeName, name, new Uint8Array(), headers).then(
      () => "OK",
      (error: unknown) => (error instanceof WireError ? error.code : "FAILED"),
    );
    codes[code] = (codes[code] ?? 0) + 1;
  }
}

await Promise.all(connections.flatMap((wire) => Array.from({ length: AT_ONCE }, () => tryAll(wire))));
for (const wire of connections) wire.close();
process.stdout.write(`${JSON.stringify(codes)}\n`);
