/** The seed of this run: today's own unless SLOTS_TEST_SEED says which. Printed, so that a failure can be met again. */
export const seed = Number(process.env.SLOTS_TEST_SEED ?? 20_260_101);
