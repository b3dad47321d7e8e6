/** A store that can't be opened. The message names the file and says what to do; nothing was changed. */
export class StorageOpenError extends Error {
  override readonly name = "StorageOpenError";
  readonly file: string;

  constructor(file: string, problem: string, options: { readonly cause?: unknown } = {}) {
    super(`${file}: ${problem}`, options);
    this.file = file;
  }
}
