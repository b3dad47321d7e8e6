/** The seed of this run; SLOTS_TEST_SEED begins elsewhere. Printed with the result, so that a failure can be met again. */
export const seed = Number(process.env.SLOTS_TEST_SEED ?? 20_260_101);
if (!Number.isSafeInteger(seed))
  throw new Error(`SLOTS_TEST_SEED: '${process.env.SLOTS_TEST_SEED}' is no seed`);
