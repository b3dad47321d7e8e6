/**
 * JSON Web Tokens that say which slot they were signed with: tokens of before and after a roll-over verify side by
 * side, and switching one slot off ends all tokens of that slot.
 */
import { randomBytes } from "node:crypto";
import { decodeJwt, jwtVerify, SignJWT } from "jose";
import { connect, type SecretHandle } from "../../clients/typescript/src/index.ts";
import { startLocalServer } from "../local-server.ts";

const KEY = "shop/jwt-signing";

/** Signs with the newest key and puts its slot into the claims; as text, since a slot may be larger than 2^53. */
function sign(keys: SecretHandle, subject: string): Promise<string> {
  const { slot, value } = keys.current();
  return new SignJWT({ slot: String(slot) })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(value.bytes());
}

/** Verifies against the key in force at the slot that the token names. */
async function verify(keys: SecretHandle, token: string): Promise<string> {
  // Not verified yet: it only picks the key, and picking a wrong one fails below.
  const { slot } = decodeJwt(token);
  if (typeof slot !== "string" || !/^[0-9]{1,19}$/.test(slot)) throw new Error("the token names no slot");
  const { value } = keys.effectiveAt(BigInt(slot));
  const { payload } = await jwtVerify(token, value.bytes(), { algorithms: ["HS256"] });
  return `valid, for ${payload.sub}`;
}

const server = await startLocalServer();
const client = connect(server);
try {
  await client.putSlot({ name: KEY, slot: 0, value: randomBytes(32) });
  const secrets = await client.open([KEY]);
  const keys = secrets.handle(KEY);
  const report = async (what: string, token: string) => {
    const outcome = await verify(keys, token).catch((error: Error) => `refused (${error.message})`);
    console.log(`  ${what}: ${outcome}`);
  };

  const oldToken = await sign(keys, "alice");
  console.log("signed with slot 0:");
  await report("old token", oldToken);

  const rotated = keys.changes();
  await client.putSlot({ name: KEY, autoSlot: "NEXT_INDEX", value: randomBytes(32) });
  await rotated.next();
  const newToken = await sign(keys, "bob");
  console.log(`rolled over, signing with slot ${keys.current().slot} now:`);
  await report("old token", oldToken);
  await report("new token", newToken);

  await client.disableSlot(KEY, 0);
  await rotated.next();
  console.log("slot 0 is disabled:");
  await report("old token", oldToken);
  await report("new token", newToken);
  await secrets.close();
} finally {
  client.close();
  await server.stop();
}
