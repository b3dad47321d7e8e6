/** How far a long work has come, on one line of standard error that is written over; silent without a terminal. */
export class Progress {
  readonly #what: string;
  readonly #shown: boolean = process.stderr.isTTY === true;
  #writtenAt = 0;

  constructor(what: string) {
    this.#what = what;
  }

  at(done: number | bigint, total: number | bigint): void {
    const now = performance.now();
    if (!this.#shown || (now - this.#writtenAt < 100 && done !== total)) return;
    this.#writtenAt = now;
    const percent = Number(total) === 0 ? 100 : Math.floor((Number(done) / Number(total)) * 100);
    process.stderr.write(`\r\u001b[K${this.#what}: ${percent} % (${done} of ${total})`);
  }

  end(): void {
    if (this.#writtenAt > 0) process.stderr.write("\r\u001b[K");
  }
}
