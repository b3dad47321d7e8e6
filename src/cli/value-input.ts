import { readFile } from "node:fs/promises";
import type { ReadStream } from "node:tty";
import { CliError, EXIT } from "./exit-codes.ts";

/** More than any server takes: an endless input must not fill the memory. */
const MAX_BYTES = 2 ** 21;

/** The value to put, from a file or from standard input; never from the command line, which every user can read. */
export async function readValue(name: string, valueFile: string | undefined): Promise<Uint8Array> {
  if (valueFile !== undefined) return checked(await readFile(valueFile));
  if (process.stdin.isTTY) return readTyped(process.stdin, `Value of ${name} (not shown; end with Ctrl-D): `);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    chunks.push(chunk);
    if (size > MAX_BYTES) break;
  }
  return checked(Buffer.concat(chunks));
}

function checked(value: Buffer): Buffer {
  if (value.length > MAX_BYTES)
    throw new CliError(EXIT.invalid, "the value is too large for any server (1 MiB)");
  return value;
}

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const BACKSPACES = ["\u007f", "\b"];

/** What a person types or pastes, without an echo; one newline at its end is dropped. */
function readTyped(stdin: ReadStream, prompt: string): Promise<Uint8Array> {
  // Before the prompt: what is typed as soon as it is seen must not be shown.
  stdin.setRawMode(true);
  process.stderr.write(prompt);
  stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = () => {
      stdin.off("data", take);
      stdin.off("end", finish);
      stdin.setRawMode(false);
      stdin.pause();
      process.stderr.write("\n");
    };
    const finish = () => {
      end();
      resolve(new TextEncoder().encode(typed.join("").replace(/\n$/, "")));
    };
    const take = (text: string) => {
      for (const key of text) {
        if (key === CTRL_D) return finish();
        if (key === CTRL_C) {
          end();
          return reject(new CliError(EXIT.general, "cancelled; nothing was put"));
        }
        if (BACKSPACES.includes(key)) typed = typed.slice(0, -1);
        else typed.push(key === "\r" ? "\n" : key);
      }
    };
    stdin.on("data", take);
    stdin.on("end", finish);
  });
}
