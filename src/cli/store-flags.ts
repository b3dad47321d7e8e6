import type { Command } from "commander";

/** Flags of commands that work on the store's files. */
export interface StoreFlags {
  readonly masterKeyFile?: string;
  readonly masterKeyEnv?: string;
}

export function addStoreFlags(command: Command, standard: string): Command {
  return command
    .option("--master-key-file <FILE>", `the master keys (env SLOTS_MASTER_KEY_FILE; default ${standard})`)
    .option(
      "--master-key-env <NAME>",
      "environment variable that holds the master keys (env SLOTS_MASTER_KEY_ENV)",
    );
}

/** Where the master keys are: the flags, or what the server's own variables say. */
export function keySource({ masterKeyFile, masterKeyEnv }: StoreFlags): StoreFlags {
  const { SLOTS_MASTER_KEY_FILE: file, SLOTS_MASTER_KEY_ENV: variable } = process.env;
  if (masterKeyFile !== undefined) return { masterKeyFile };
  if (masterKeyEnv !== undefined) return { masterKeyEnv };
  if (file) return { masterKeyFile: file };
  return variable ? { masterKeyEnv: variable } : {};
}
