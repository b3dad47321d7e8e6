const BOUND_MS = 20_000;

/** Looks until the condition holds; an error after 20 s. */
export async function eventually(condition: () => boolean, what = "the condition"): Promise<void> {
  const end = performance.now() + BOUND_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come true within ${BOUND_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
