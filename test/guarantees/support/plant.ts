import { editSources } from "./edited-sources.ts";
import { PLANTED, type Planted } from "./planted-losses.ts";

/** Preloaded into a program of ours (`node --import`), and into its threads: plants what SLOTS_TEST_PLANTED names. */
const { SLOTS_TEST_PLANTED: what = "" } = process.env;
editSources(what, PLANTED[what as Planted]);
