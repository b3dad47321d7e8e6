import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, framed, session } from "./one-call.ts";

const WARM_UP_SECONDS = 1;

export interface LoadOptions {
  readonly address: string;
  readonly path: string;
  /** The request message, without its gRPC prefix. */
  readonly message: Uint8Array;
  readonly token?: string;
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
}

export function hasH2load(): boolean {
  try {
    execFileSync("h2load", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls a second that `h2load`, a C program, gets answered; it costs far less than what it measures. It takes any HTTP
 * status 200 for a success, whatever gRPC says in the trailers, so the answers' bytes are counted, too: one that is
 * refused has none. All are of one length, that of a first call whose status is looked at.
 */
export async function load(options: LoadOptions): Promise<number> {
  const through = await session(options.address);
  const bytes = await call(through, options).finally(() => through.close());
  run(options, WARM_UP_SECONDS, bytes);
  return run(options, options.seconds, bytes);
}

function run(options: LoadOptions, seconds: number, bytes: number): number {
  const folder = mkdtempSync(join(tmpdir(), "slots-bench-"));
  try {
    const body = join(folder, "body");
    writeFileSync(body, framed(options.message));
    const output = execFileSync(
      "h2load",
      [
        // No warm-up of its own: the bytes of it would be counted, its answers not.
        ...["-D", String(seconds)],
        ...["-c", String(options.connections), "-m", String(options.streams), "-d", body],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        ...(options.token === undefined ? [] : ["-H", `authorization: Bearer ${options.token}`]),
        `http://${options.address}${options.path}`,
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    return checkedRate(output, bytes, options.connections * options.streams);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Calls a second that `h2load` says; throws unless each had an answer of `bytes`, but for those on their way at the end. */
export function checkedRate(output: string, bytes: number, underWay: number): number {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  const rate = number(/finished in [^,]+, ([\d.]+) req\/s/);
  const done = number(/(\d+) succeeded/);
  const answers = number(/\((\d+)\) data/) / bytes;
  const lost = number(/(\d+) failed/) + number(/(\d+) timeout/);
  if (rate > 0 && lost === 0 && answers >= done && answers <= done + underWay) return rate;
  throw new Error(`h2load: not every call had its answer of ${bytes} bytes:\n${output}`);
}
