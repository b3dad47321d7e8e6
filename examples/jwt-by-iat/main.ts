/**
 * Slots that are Unix times: a token needs no extra claim, because its `iat` says which key was in force. The next
 * key can be put ahead of time; it takes over by itself when its time has come.
 */
import { randomBytes } from "node:crypto";
import { decodeJwt, jwtVerify, SignJWT } from "jose";
import { connect, type SecretHandle } from "../../clients/typescript/src/index.ts";
import { startLocalServer } from "../local-server.ts";

const KEY = "shop/jwt-signing";
const HOUR = 3600;

/** Signs with the key in force at that moment, which need not be the one in the highest slot. */
function sign(keys: SecretHandle, subject: string, iat: number): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(subject)
    .setIssuedAt(iat)
    .setExpirationTime(iat + 24 * HOUR)
    .sign(keys.effectiveAt(iat).value.bytes());
}

/** Verifies against the key that was in force when the token says that it was made. */
async function verify(keys: SecretHandle, token: string, now: number): Promise<string> {
  // Not verified yet: it only picks the key, and picking a wrong one fails below.
  const { iat } = decodeJwt(token);
  if (!Number.isSafeInteger(iat) || iat === undefined || iat < 0) throw new Error("the token has no iat");
  const { value } = keys.effectiveAt(iat);
  const { payload } = await jwtVerify(token, value.bytes(), {
    algorithms: ["HS256"],
    currentDate: new Date(now * 1000),
    maxTokenAge: 24 * HOUR,
  });
  return `valid, for ${payload.sub}`;
}

const server = await startLocalServer();
const client = connect(server);
try {
  const start = Math.floor(Date.now() / 1000);
  const rollOver = start + HOUR;
  await client.putSlot({ name: KEY, slot: start, value: randomBytes(32) });
  await client.putSlot({ name: KEY, slot: rollOver, value: randomBytes(32) });
  const secrets = await client.open([KEY]);
  const keys = secrets.handle(KEY);
  const report = async (what: string, token: string, now: number) => {
    const outcome = await verify(keys, token, now).catch((error: Error) => `refused (${error.message})`);
    console.log(`  ${what}: ${outcome}`);
  };

  // The clock of the story is an argument, so that nobody has to wait for the roll-over.
  const oldToken = await sign(keys, "alice", rollOver - 1);
  console.log("one second before the roll-over:");
  await report("old token", oldToken, rollOver - 1);

  const newToken = await sign(keys, "bob", rollOver);
  console.log("at the roll-over, with nothing done by anybody:");
  await report("old token", oldToken, rollOver);
  await report("new token", newToken, rollOver);

  const changed = keys.changes();
  await client.disableSlot(KEY, start);
  await changed.next();
  console.log("the old slot is disabled:");
  await report("old token", oldToken, rollOver);
  await report("new token", newToken, rollOver);
  await secrets.close();
} finally {
  client.close();
  await server.stop();
}
