import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Warn } from "./options.ts";

/** PEM files of a TLS connection. `cert` and `key` go together (mTLS). */
export type TlsOptions = {
  /** Roots to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name to check the server's certificate against, when it is not the address's host. */
  readonly serverName?: string | undefined;
};

export type TlsMaterial = {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly fingerprint: string;
};

async function load({ ca, cert, key }: TlsOptions): Promise<TlsMaterial> {
  const [caPem, certPem, keyPem] = await Promise.all(
    [ca, cert, key].map((path) => (path === undefined ? null : readFile(path))),
  );
  // Throws when a file is no PEM or the key does not fit the certificate.
  createSecureContext({
    ...(caPem ? { ca: caPem } : {}),
    ...(certPem ? { cert: certPem } : {}),
    ...(keyPem ? { key: keyPem } : {}),
  });
  const hash = createHash("sha256");
  for (const pem of [caPem, certPem, keyPem]) hash.update(`${pem?.length ?? -1}:`).update(pem ?? "");
  return { ca: caPem ?? null, cert: certPem ?? null, key: keyPem ?? null, fingerprint: hash.digest("hex") };
}

/** Reads the files anew at each call; files that do not load leave the last good ones in place. */
export function tlsFiles(options: TlsOptions, warn: Warn): () => Promise<TlsMaterial> {
  let last: TlsMaterial | undefined;
  return async () => {
    try {
      last = await load(options);
    } catch (error) {
      if (last === undefined) throw error;
      warn("the TLS files do not load; the last good ones stay in use");
    }
    return last;
  };
}
