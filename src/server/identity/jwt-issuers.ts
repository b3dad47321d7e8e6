import { parse } from "yaml";
import { z } from "zod";
import { JWT_ALGORITHMS, type JwtIssuer } from "./issuer.ts";

const source = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({
    url: z.string().min(1),
    caFile: z.string().min(1).optional(),
    tokenFile: z.string().min(1).optional(),
  }),
]);

const issuers = z.strictObject({
  issuers: z.array(
    z.strictObject({
      issuer: z.string().min(1),
      audiences: z.array(z.string().min(1)).min(1),
      jwks: source,
      algorithms: z.array(z.enum(JWT_ALGORITHMS)).min(1).optional(),
      principalPrefix: z.string().min(1).optional(),
      groupsClaim: z.string().min(1).optional(),
      groupPrefix: z.string().optional(),
    }),
  ),
});

/** The issuers in a YAML file; an unknown key is an error. */
export function readJwtIssuers(file: string, text: string): readonly JwtIssuer[] {
  const parsed = issuers.safeParse(contentOf(file, text));
  if (parsed.success) return parsed.data.issuers;
  const [issue] = parsed.error.issues;
  throw new Error(`${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is not valid"}`);
}

function contentOf(file: string, text: string): unknown {
  try {
    return parse(text, { logLevel: "error" });
  } catch (cause) {
    // Of several kinds: what is no YAML, and an alias that names nothing or stands for too much.
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : "can't be read"}`);
  }
}
