import { createInterface } from "node:readline";

// The driver's side of test/conformance/PROTOCOL.md: lines in, lines out.

export type Request = { readonly id: number; readonly op: string; readonly [member: string]: unknown };
export type Ops = Readonly<Record<string, (request: Request) => Promise<object> | object>>;
export type DriverError = { code: string; reason: string; message: string; metadata: Record<string, string> };

/** Answers requests one by one until standard input ends. */
export async function serve(ops: Ops, describe: (error: unknown) => DriverError): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    const { id } = request;
    try {
      const op = ops[request.op];
      if (op === undefined) {
        const message = `no op ${request.op}`;
        answer({ id, ok: false, error: { code: "UNIMPLEMENTED", reason: "", message, metadata: {} } });
        continue;
      }
      answer({ ...(await op(request)), id, ok: true });
    } catch (error) {
      answer({ id, ok: false, error: describe(error) });
    }
  }
}

function answer(message: object): void {
  const numbers = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
  process.stdout.write(`${JSON.stringify(message, numbers)}\n`);
}

export function text(request: Request, member: string): string {
  const value = request[member];
  if (typeof value !== "string") throw new Error(`${member} must be a string`);
  return value;
}

export function optional(request: Request, member: string): string | undefined {
  return request[member] === undefined ? undefined : text(request, member);
}

/** A number as the protocol writes it; kept as it is when it is none, for the client to refuse. */
export function integer(request: Request, member: string): bigint {
  return BigInt(text(request, member));
}

export function optionalInteger(request: Request, member: string): bigint | undefined {
  return request[member] === undefined ? undefined : integer(request, member);
}

export function bytes(request: Request, member: string): Uint8Array {
  return Buffer.from(text(request, member), "base64");
}

export function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

/** The only entry of a map under this name; an error when it was not made. */
export function named<T>(map: ReadonlyMap<string, T>, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`nothing is called ${name}`);
  return found;
}
