import { connect } from "../../../clients/typescript/src/index.ts";

/** A service on another machine that holds one secret by our own client, and tells what it holds. */
const [address = "", name = ""] = process.argv.slice(2);
const tell = (what: Record<string, unknown>): void => {
  process.stdout.write(`${JSON.stringify(what)}\n`);
};

const client = connect({ address, token: process.env.SLOTS_TEST_TOKEN, allowPlaintext: true });
const secrets = await client.open([name], {
  waitMs: 30_000,
  view: "CURRENT",
  onDisconnect: (error) => tell({ lost: error?.code ?? "OK" }),
});
const handle = secrets.handle(name);
const held = () => tell({ held: handle.current().value.text().trimEnd() });
handle.onChange(held);
held();
