import { open } from "node:fs/promises";

/** Makes the names in a folder as durable as the files. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
