import type { ConnectionSource } from "./server/connections/connection-source.ts";
import { isLoopback, type ListenAddress, parseListenAddress } from "./server/connections/listen-address.ts";
import { type Settings, StartError } from "./settings.ts";

/** The address to listen on. Refuses one that other machines can reach when nobody ends TLS. */
export function checkedListenAddress(settings: Settings): ListenAddress {
  const address = parseListenAddress(settings.listen);
  if (address === undefined)
    throw new StartError(`--listen: '${settings.listen}' must be HOST:PORT, [IPV6]:PORT or unix:PATH`);
  if (!isLoopback(address) && settings["tls-cert"] === undefined && !settings["tls-at-proxy"]) {
    throw new StartError(
      `--listen: ${settings.listen} can be reached from other machines, and TLS is off: give --tls-cert and ` +
        "--tls-key, or say --tls-at-proxy when a proxy of yours ends TLS",
    );
  }
  return address;
}

/** What `opening` a source resolves with; that it failed is told with what to do about it. */
export async function listening(
  settings: Settings,
  opening: ReturnType<ConnectionSource["open"]>,
): Promise<string | undefined> {
  try {
    return await opening;
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException;
    throw new StartError(
      `can't listen on ${settings.listen}: ${error.code === "EADDRINUSE" ? "the address is in use; choose another with --listen" : error.message}`,
    );
  }
}
