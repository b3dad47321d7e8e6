import { setPriority } from "node:os";
import { AdminService } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import { generateToken } from "../../src/crypto/tokens.ts";
import { Wire, WireError } from "../support/wire.ts";

/** Told a number by its parent: tries so many wrong tokens as fast as it is answered, each another one, and tells how often each code came. */
const CONNECTIONS = 8;
const AT_ONCE = Number(process.env.SLOTS_TEST_AT_ONCE ?? 32);
const { parent, name } = AdminService.method.whoAmI;
const connections = Array.from({ length: CONNECTIONS }, () => new Wire(process.argv[2] ?? "", undefined));

// Its own work stands for other machines': it must take no processor from the server and the good client.
setPriority(10);

async function flood(tries: number): Promise<Record<string, number>> {
  const codes: Record<string, number> = {};
  let left = tries;
  const tryAll = async (wire: Wire) => {
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
  };
  await Promise.all(connections.flatMap((wire) => Array.from({ length: AT_ONCE }, () => tryAll(wire))));
  return codes;
}

process.on("message", (tries: number) => void flood(tries).then((codes) => process.send?.(codes)));
process.once("disconnect", () => process.exit());
