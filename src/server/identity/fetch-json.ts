import { readFileSync } from "node:fs";
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";

export interface FetchJsonOptions {
  /** `https:`, or `http:` to this machine alone: who can change keys on their way can sign as anybody. */
  readonly url: string;
  /** Authorities to trust for this address instead of the public ones, PEM. */
  readonly caFile?: string | undefined;
  /** Sent as a bearer token, read anew for each request; Kubernetes asks for one. */
  readonly tokenFile?: string | undefined;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1024 * 1024;
const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Throws unless the address is one that keys may be taken from. */
export function checkKeyUrl(text: string): URL {
  if (!URL.canParse(text)) throw new Error("the address of an issuer's keys is none");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "")
    throw new Error("an address of keys must not hold a password");
  if (url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname))) return url;
  throw new Error(`${url.origin}: keys may come from https, or from http on this machine`);
}

/**
 * Gets a JSON document. Own few lines over `node:https`, since `fetch` takes no authorities, follows redirects to
 * other hosts, and reads bodies of any size.
 */
export async function fetchJson(options: FetchJsonOptions): Promise<unknown> {
  const url = checkKeyUrl(options.url);
  const signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const headers: Record<string, string> = { accept: "application/json" };
  if (options.tokenFile !== undefined) {
    headers.authorization = `Bearer ${readFileSync(options.tokenFile, "utf8").trim()}`;
  }
  const ca = options.caFile === undefined ? undefined : readFileSync(options.caFile);
  const text = await new Promise<string>((resolve, reject) => {
    const get = url.protocol === "https:" ? httpsGet : httpGet;
    const request = get(url, { headers, signal, agent: false, ...(ca && { ca }) }, (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        reject(new Error(`it answered ${response.statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) response.destroy(new Error(`more than ${MAX_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would quote what it read.
    throw new Error("it did not answer with JSON");
  }
}
