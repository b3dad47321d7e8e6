/** What was appended in one turn of the event loop, and the one promise that answers all of it. */
export class AppendBatch {
  readonly bodies: string[] = [];
  /** The largest time of its records, Unix milliseconds. */
  latest = 0;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
  }
}
