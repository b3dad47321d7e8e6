// A web service that signs and verifies JWTs with a key that rotates while it runs.
//
// The slots of examples/jwt-key are Unix times: the key in slot t signs from t on. A new token is signed with the
// current key; an old one is verified with the key that was in force when it was issued.
import { open } from "@secretslots/client";
import Fastify from "fastify";
import { decodeJwt, jwtVerify, SignJWT } from "jose";

/** Clocks of signer and verifier may differ by this much around a roll-over, seconds. */
const OVERLAP = 60;

export async function startService({ address, tokenFile, port = 0 }) {
  const secrets = await open({ address, tokenFile, names: ["examples/jwt-key"] });
  const key = secrets.handle("examples/jwt-key");
  const app = Fastify();
  app.addHook("onClose", () => secrets.close());

  app.post("/login", async (request) => {
    const { value, slot } = key.current();
    const token = await new SignJWT({ name: request.body.name })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuedAt(Math.max(Math.trunc(Date.now() / 1000), Number(slot)))
      .setExpirationTime("1h")
      .sign(value.bytes());
    return { token };
  });

  app.get("/me", async (request, reply) => {
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    const payload = await verify(key, token);
    return payload ? { name: payload.name } : reply.code(401).send({ error: "the token does not hold" });
  });

  await app.listen({ port, host: "127.0.0.1" });
  return app;
}

async function verify(key, token) {
  try {
    const { iat } = decodeJwt(token);
    for (const { value } of key.acceptable(iat, OVERLAP)) {
      const verified = await jwtVerify(token, value.bytes()).catch(() => undefined);
      if (verified) return verified.payload;
    }
  } catch {
    // No token, no issue time, or a time that is no slot number.
  }
  return undefined;
}

if (process.argv[1] === import.meta.filename) {
  const app = await startService({
    address: process.env.SLOTS_ADDRESS,
    tokenFile: process.env.SLOTS_TOKEN_FILE,
    port: 8080,
  });
  console.log(`serving on ${app.listeningOrigin}`);
}
