import { createServer, type Socket } from "node:net";

/**
 * Stands for a database: lets in who sends one of its passwords, then answers each line. A real one has the same
 * three steps: accept the new password too, move the clients over, drop the old one.
 */
export class Database {
  readonly #passwords = new Set<string>();
  readonly #server = createServer((socket) => this.#serve(socket));

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  }

  accept(password: string): void {
    this.#passwords.add(password);
  }

  drop(password: string): void {
    this.#passwords.delete(password);
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let loggedIn = false;
    let rest = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!loggedIn && !this.#passwords.has(line)) {
          socket.end("denied\n");
          return;
        }
        socket.write(loggedIn ? `answer to ${line}\n` : "welcome\n");
        loggedIn = true;
      }
    });
  }
}
