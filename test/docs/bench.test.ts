import { expect, test } from "vitest";
import { checkedRate } from "../../bench/h2load.ts";
import { layersOf } from "../../bench/profile.ts";

const report = (data: number) =>
  `finished in 2.02s, 12888.00 req/s, 2.56MB/s
requests: 25776 total, 25904 started, 25776 done, 25776 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 25888 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.11MB (5358768) total, 76.52KB (78352) headers (space savings 96.07%), 4.35MB (${data}) data`;

test("calls count as answered only when their answers' bytes came", () => {
  expect(checkedRate(report(25_888 * 176), 176, 128)).toBe(12_888);
  // Refused by gRPC: an answer with status 200 and no message.
  expect(() => checkedRate(report(0), 176, 128)).toThrow("its answer of 176 bytes");
  expect(() => checkedRate(report(25_775 * 176), 176, 128)).toThrow();
  expect(() => checkedRate(report(26_000 * 176), 176, 128)).toThrow();
});

test("a profile's time is that of the layers, and native code counts for who called it", () => {
  const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
    ...{ id, callFrame: { functionName, url }, children },
  });
  const nodes = [
    node(1, "(root)", "", [2, 3, 5]),
    node(2, "(idle)", ""),
    node(3, "onread", "node:internal/stream_base_commons", [4]),
    node(4, "read", "file:///x/src/storage/sqlite/reader.ts", [6]),
    node(5, "(garbage collector)", ""),
    node(6, "get", ""),
  ];
  const times = layersOf({ nodes, samples: [2, 3, 4, 5, 6, 6], timeDeltas: [10, 1, 2, 3, 4, 5] });
  expect(Object.fromEntries(times)).toEqual({
    idle: 10,
    "node:http2, sockets": 1,
    "src/storage, with SQLite": 11,
    "garbage collector": 3,
  });
});
