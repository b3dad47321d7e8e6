import { createServer, type Server } from "node:http";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Storage } from "../storage/storage.ts";
import { parseListenAddress } from "./connections/listen-address.ts";

/** Counts for an operator, in Prometheus' form. Labels are RPC names and codes: never a name, a value or a caller. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<"rpc" | "code">;
  readonly #seconds: Histogram<"rpc">;
  readonly #refused: Counter;
  readonly #series = new Map<
    string,
    { readonly calls: Counter.Internal; readonly seconds: Histogram.Internal<string> }
  >();

  constructor(storage: Storage) {
    const registers = [this.#registry];
    this.#calls = new Counter({
      name: "slots_calls_total",
      help: "Calls that ended, by RPC and code.",
      labelNames: ["rpc", "code"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "slots_call_seconds",
      help: "How long calls took, streams included.",
      labelNames: ["rpc"],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
    this.#refused = new Counter({
      name: "slots_connections_refused_total",
      help: "Connections turned away because their address holds too many.",
      registers,
    });
    new Gauge({
      name: "slots_store_revision",
      help: "The store's revision.",
      registers,
      collect() {
        this.set(Number(storage.head().revision));
      },
    });
  }

  call(rpc: string, code: string, millis: number): void {
    const key = `${rpc} ${code}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      // RPC names and codes are few, and looking a series up by its labels would cost more than counting.
      series = { calls: this.#calls.labels({ rpc, code }), seconds: this.#seconds.labels({ rpc }) };
      this.#series.set(key, series);
    }
    series.calls.inc();
    series.seconds.observe(millis / 1000);
  }

  connectionRefused(_address: string): void {
    this.#refused.inc();
  }

  /** Serves `/metrics` over HTTP; undefined when no address is given. */
  async listen(text: string | undefined): Promise<Server | undefined> {
    if (text === undefined) return undefined;
    const address = parseListenAddress(text);
    if (address?.kind !== "tcp") throw new Error(`--metrics-listen: '${text}' must be HOST:PORT`);
    const server = createServer((request, response) => {
      if (request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      void this.#registry.metrics().then((body) => {
        response.writeHead(200, { "content-type": this.#registry.contentType }).end(body);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.port, address.host, resolve);
    });
    return server;
  }
}
