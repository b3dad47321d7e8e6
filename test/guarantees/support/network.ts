import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { NODE } from "../../support/server-process.ts";

/** Where the far machine finds what listens on the near one: an address for examples, which nobody has. */
export const NEAR_ADDRESS = "192.0.2.1";
const FAR_ADDRESS = "192.0.2.2";

/** Whether this user may make network namespaces with a bridge in them. */
export function canMakeNetworks(): boolean {
  const network = new Network();
  try {
    network.create();
    return true;
  } catch {
    return false;
  } finally {
    network.dispose();
  }
}

/**
 * Two machines with a switch between them, each a network namespace. The cable can be cut where neither end sees it:
 * both links stay up, and packets are lost without a word.
 */
export class Network {
  static #count = 0;
  readonly #name = `slots-${process.pid}-${Network.#count++}`;
  readonly near = `${this.#name}-near`;
  readonly far = `${this.#name}-far`;
  readonly #switch = `${this.#name}-switch`;

  /** Throws what `ip` says when it can't. */
  create(): void {
    const machines = [
      { namespace: this.near, port: "near", address: NEAR_ADDRESS, mac: "02:00:00:00:00:01" },
      { namespace: this.far, port: "far", address: FAR_ADDRESS, mac: "02:00:00:00:00:02" },
    ];
    ip("netns", "add", this.#switch);
    inside(this.#switch, "link", "add", "bridge", "type", "bridge");
    inside(this.#switch, "link", "set", "bridge", "up");
    for (const { namespace, port, address, mac } of machines) {
      ip("netns", "add", namespace);
      inside(namespace, "link", "set", "lo", "up");
      inside(namespace, "link", "add", "eth", "type", "veth", "peer", "name", port, "netns", this.#switch);
      inside(namespace, "link", "set", "eth", "address", mac, "up");
      inside(namespace, "address", "add", `${address}/24`, "dev", "eth");
      inside(this.#switch, "link", "set", port, "up");
      // So that a lost link is silent, not "no route to host": neighbours are known once and for all.
      for (const other of machines) {
        if (other.namespace === namespace) continue;
        inside(namespace, "neighbour", "add", other.address, "lladdr", other.mac, "dev", "eth");
      }
    }
    this.heal();
  }

  cut(): void {
    inside(this.#switch, "link", "set", "far", "nomaster");
  }

  heal(): void {
    for (const port of ["near", "far"]) inside(this.#switch, "link", "set", port, "master", "bridge");
  }

  dispose(): void {
    for (const namespace of [this.near, this.far, this.#switch]) {
      spawnSync("ip", ["netns", "delete", namespace], { stdio: "ignore" });
    }
  }
}

/** Starts a command in a namespace. */
export function within(namespace: string): readonly string[] {
  return ["ip", "netns", "exec", namespace];
}

function inside(namespace: string, ...args: readonly string[]): void {
  ip("-netns", namespace, ...args);
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr?.trim() ?? "is not installed"}`);
}

/** A program of ours on one of the machines. It tells by lines of JSON, is told by lines, and ends with its input. */
export class Machine {
  readonly child: ChildProcess;
  readonly told: Record<string, unknown>[] = [];
  #errors = "";

  constructor(namespace: string, script: string, args: readonly string[], env: Record<string, string>) {
    const [command = "", ...rest] = [...within(namespace), NODE, script, ...args];
    this.child = spawn(command, rest, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin?.on("error", () => {});
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.told.push(JSON.parse(line)));
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
  }

  /** The newest that it told of a kind. Throws when it has ended by itself. */
  last(kind: string): unknown {
    if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.#errors}`);
    return this.told.findLast((each) => kind in each)?.[kind];
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}
