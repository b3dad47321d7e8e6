import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";

/** A logged-in connection to the database: what takes a password and is worth keeping. */
export class Connection {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** Fails when the password is not accepted. */
  static async open(port: number, password: string): Promise<Connection> {
    const socket = createConnection({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    const connection = new Connection(socket);
    if ((await connection.query(password)) !== "welcome") {
      connection.close();
      throw new Error("the database does not accept the password");
    }
    return connection;
  }

  async query(text: string): Promise<string> {
    this.#socket.write(`${text}\n`);
    const { value } = await this.#lines.next();
    return value ?? "closed";
  }

  close(): void {
    this.#socket.end();
  }
}
