/**
 * A program whose database password changes under it. It never restarts and never reads a password twice: it holds
 * a connection that is built anew when the secret changes, and asks for it each time it needs one.
 */
import { connect } from "../../clients/typescript/src/index.ts";
import { startLocalServer } from "../local-server.ts";
import { Connection } from "./connection.ts";
import { Database } from "./database.ts";

const PASSWORD = "shop/db-password";

const server = await startLocalServer();
const operator = connect(server);
const database = new Database();
const port = await database.listen();
try {
  database.accept("original_password");
  await operator.putSlot({ name: PASSWORD, slot: 0, value: "original_password" });

  console.log(`process ${process.pid}, first password:`);
  // The program: these lines, and `pool.get()` wherever it needs the database.
  const program = connect(server);
  const secrets = await program.open([PASSWORD]);
  const password = secrets.handle(PASSWORD);
  const pool = await password.derived(
    ({ value, slot }) => {
      console.log(`  program: logging in with the password of slot ${slot}`);
      return Connection.open(port, value.text());
    },
    (connection) => connection.close(),
  );
  const work = async (query: string) => console.log(`  program: ${await pool.get().query(query)}`);

  await work("query 1");

  console.log("the operator rotates: the database takes both, then the new one is put into slot 1:");
  const before = pool.get();
  database.accept("updated_password");
  await operator.putSlot({ name: PASSWORD, slot: 1, value: "updated_password" });
  while (pool.get() === before) await new Promise((resolve) => setTimeout(resolve, 5));
  await work("query 2");

  console.log("the old password is dropped:");
  database.drop("original_password");
  const refused = await Connection.open(port, "original_password").catch((error: Error) => error.message);
  console.log(`  somebody with the old one: ${refused instanceof Connection ? "let in!" : refused}`);
  await work("query 3");
  console.log(`process ${process.pid}, no restart`);

  await secrets.close();
  program.close();
} finally {
  operator.close();
  database.close();
  await server.stop();
}
