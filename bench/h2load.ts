import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/** Requests a second that `h2load`, a C program, gets answered; it costs far less than what it measures. */
export function load(options: LoadOptions): number {
  const folder = mkdtempSync(join(tmpdir(), "slots-bench-"));
  try {
    const frame = Buffer.alloc(5 + options.message.length);
    frame.writeUInt32BE(options.message.length, 1);
    frame.set(options.message, 5);
    const body = join(folder, "body");
    writeFileSync(body, frame);
    const output = execFileSync(
      "h2load",
      [
        ...["-D", String(options.seconds), "--warm-up-time", "1"],
        ...["-c", String(options.connections), "-m", String(options.streams), "-d", body],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        ...(options.token === undefined ? [] : ["-H", `authorization: Bearer ${options.token}`]),
        `http://${options.address}${options.path}`,
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    const rate = /finished in [^,]+, ([\d.]+) req\/s/.exec(output)?.[1];
    const failed = /(\d+) failed, (\d+) errored/.exec(output);
    if (rate === undefined || Number(failed?.[1]) > 0) throw new Error(`h2load did not measure:\n${output}`);
    return Number(rate);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
