import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/**
 * Where the processor time of a server went: the self time by layer of each `.cpuprofile` that `--profile` wrote, as a
 * table. V8 counts native code for the function that called it: SQLite and its flushes are in `src/storage`, and what is
 * written to a socket is in `node:http2`.
 */
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

const IDLE = "idle";
const MESSAGES = "messages between threads, and their coding";

/** The first that fits names the layer of a function. */
const LAYERS: readonly (readonly [layer: string, place: RegExp])[] = [
  ["crypto", /^node:(internal\/)?crypto/],
  // Rows have checksums.
  ["src/storage, with SQLite", /node_modules\/better-sqlite3\/|\/src\/storage\/|^node:zlib/],
  [MESSAGES, /^node:(v8$|(?:internal\/)?(?:worker|per_context\/messageport|child_process))/],
  ["node:http2, sockets", /^node:(internal\/)?(http2|net|stream|_stream|_http|tty|dgram|js_stream)/],
  ["files", /^node:(internal\/)?fs/],
  [
    "event loop, timers, promises",
    /^node:(internal\/)?(process|timers|async_hooks|events?$|event_target|util|buffer|url|abort)/,
  ],
  ["loading of modules, at the start", /^node:internal\/(modules|bootstrap|main|compile)/],
  ["other of Node", /^node:/],
  ["grpc-js", /node_modules\/@grpc\//],
  ["protobuf", /node_modules\/@bufbuild\/|\/gen\/ts\//],
  ["metrics", /node_modules\/prom-client\//],
  ["other packages", /node_modules\//],
];

/** Self time by layer, the largest first, microseconds. */
export function layersOf(profile: Profile): ReadonlyMap<string, number> {
  const layers = layersOfNodes(profile);
  const times = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const layer = layers.get(id) ?? "other";
    times.set(layer, (times.get(layer) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  return new Map([...times].sort((a, b) => b[1] - a[1]));
}

function layersOfNodes({ nodes }: Profile): ReadonlyMap<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const layers = new Map<number, string>();
  const visit = (node: ProfileNode, caller: string): void => {
    const layer = layerOf(node, caller);
    layers.set(node.id, layer);
    for (const child of node.children ?? []) visit(byId.get(child) as ProfileNode, layer);
  };
  const [root] = nodes;
  if (root !== undefined) visit(root, "other");
  return layers;
}

function layerOf({ callFrame: { functionName, url } }: ProfileNode, caller: string): string {
  if (functionName === "(idle)") return IDLE;
  if (functionName === "(garbage collector)") return "garbage collector";
  if (functionName === "(program)") return "V8 and libuv, outside JavaScript";
  if (url === "") return functionName === "postMessage" ? MESSAGES : caller;
  const known = LAYERS.find(([, place]) => place.test(url))?.[0];
  return known ?? /\/((?:src|clients|bench|test)\/[^/]+)\//.exec(url)?.[1] ?? "src";
}

/** A layer below this share of the time at work is told with the rest. */
const LEAST_SHARE = 0.01;

export function tableOf(profile: Profile): string {
  const times = layersOf(profile);
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  const busy = total - (times.get(IDLE) ?? 0);
  const shares = [...times]
    .filter(([layer]) => layer !== IDLE)
    .map(([layer, time]) => ({ layer, share: time / busy }));
  const small = shares.filter(({ share }) => share < LEAST_SHARE);
  const rows = shares.filter(({ share }) => share >= LEAST_SHARE);
  rows.push({ layer: "the rest", share: small.reduce((sum, { share }) => sum + share, 0) });
  return [
    `at work ${((busy / total) * 100).toFixed(0)} % of ${(total / 1e6).toFixed(1)} s`,
    "",
    "| layer | share of the time at work |",
    "| --- | --- |",
    ...rows.map(({ layer, share }) => `| ${layer} | ${(share * 100).toFixed(1)} % |`),
  ].join("\n");
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  if (positionals.length === 0) {
    console.error("usage: npm run profile -- FILE.cpuprofile…");
    process.exit(2);
  }
  for (const file of positionals) {
    console.log(`${file}: ${tableOf(JSON.parse(readFileSync(file, "utf8")) as Profile)}\n`);
  }
}
