// A connection pool that is swapped when the password rotates: queries go on all the while.
import { open } from "@secretslots/client";

export async function startPool({ address, tokenFile, connect }) {
  const secrets = await open({ address, tokenFile, names: ["examples/db"] });
  // With node-postgres: build is ({ value }) => new pg.Pool({ user: "app", password: value.text() }), and a
  // query that proves it works; close is (pool) => pool.end(), which waits for the queries that run.
  const pool = await secrets.handle("examples/db").derived(
    async ({ value }) => {
      const made = new Pool(() => connect(value.text()));
      await made.query("SELECT 1");
      return made;
    },
    (old) => old.end(),
  );
  return { query: (sql) => pool.get().query(sql), close: () => secrets.close() };
}

/** A small pool in memory, with the two methods of pg.Pool that count here. */
class Pool {
  #connect;
  #idle = [];
  #running = new Set();

  constructor(connect) {
    this.#connect = connect;
  }

  query(sql) {
    const run = (async () => {
      const connection = this.#idle.pop() ?? (await this.#connect());
      const rows = await connection.query(sql);
      this.#idle.push(connection);
      return rows;
    })();
    const done = run.catch(() => {}).then(() => this.#running.delete(done));
    this.#running.add(done);
    return run;
  }

  async end() {
    await Promise.all(this.#running);
    for (const connection of this.#idle) connection.close();
  }
}
