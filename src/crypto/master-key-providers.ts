import { join } from "node:path";
import { SlotsError } from "../domain/errors.ts";
import type { MasterKey } from "./master-key.ts";
import { readMasterKeyFile } from "./master-key-file.ts";
import { parseMasterKeys } from "./master-key-text.ts";

/** Where master keys come from. A key service or a hardware module fits behind this too. */
export interface MasterKeyProvider {
  /** For messages: `file /etc/slots/master.key`. */
  readonly source: string;
  /** At least one key. Throws KEY_NOT_LOADED that says where it looked and what to do. */
  load(): Promise<readonly MasterKey[]>;
}

export type Environment = Record<string, string | undefined>;

/** Text files of mode 0600. */
export function fileProvider(path: string): MasterKeyProvider {
  return { source: `file ${path}`, load: async () => readMasterKeyFile(path) };
}

/**
 * A variable, which is taken out of the environment when it is read so that no child process gets it. The
 * kernel still shows the first environment of a process to its own user: a file is the better place.
 */
export function environmentProvider(name: string, environment: Environment = process.env): MasterKeyProvider {
  return {
    source: `environment variable ${name}`,
    load: async () => {
      const text = environment[name];
      delete environment[name];
      if (text === undefined || text === "") {
        throw new SlotsError(
          "KEY_NOT_LOADED",
          `environment variable ${name} is not set; it must hold a master key`,
        );
      }
      return parseMasterKeys(text, `environment variable ${name}`);
    },
  };
}

/** A credential of the systemd unit: `LoadCredential=NAME:PATH` or `LoadCredentialEncrypted=NAME:PATH`. */
export function systemdProvider(name: string, environment: Environment = process.env): MasterKeyProvider {
  return {
    source: `systemd credential ${name}`,
    load: async () => {
      if (!/^[A-Za-z0-9._@-]{1,255}$/.test(name) || name === "." || name === "..") {
        throw new SlotsError(
          "KEY_NOT_LOADED",
          "a systemd credential's name has no '/' and is 1 to 255 characters",
        );
      }
      const directory = environment.CREDENTIALS_DIRECTORY;
      if (directory === undefined || directory === "") {
        throw new SlotsError(
          "KEY_NOT_LOADED",
          `systemd credential ${name}: CREDENTIALS_DIRECTORY is not set; ` +
            `start under systemd with LoadCredential=${name}:PATH in the unit`,
        );
      }
      return readMasterKeyFile(join(directory, name), { ownerOnly: false });
    },
  };
}

/** The keys of all providers, in order: the first is primary unless the store says otherwise. */
export async function loadMasterKeys(providers: readonly MasterKeyProvider[]): Promise<readonly MasterKey[]> {
  const keys: MasterKey[] = [];
  for (const provider of providers) keys.push(...(await provider.load()));
  return keys;
}
