package io.secretslots.client;

import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the server is.
 *
 * @param text as it was given
 * @param target what gRPC dials
 * @param local whether bytes stay on this machine, so that a token may travel without TLS
 */
record Address(String text, String target, boolean local) {
  private static final Pattern HOST_PORT =
      Pattern.compile("(?:\\[([0-9A-Fa-f:.%]+)\\]|([A-Za-z0-9._-]+)):([0-9]{1,5})");
  private static final Pattern IPV4_LOOPBACK = Pattern.compile("127(?:\\.[0-9]{1,3}){3}");

  /** Parses {@code host:port}, {@code [v6]:port} or {@code unix:PATH}. */
  static Address parse(String address) {
    if (address.startsWith("unix:")) {
      String path = address.substring("unix:".length());
      if (path.isEmpty()) {
        throw SlotsException.invalid("the address has no path after unix:");
      }
      return new Address(address, "unix:" + Path.of(path).toAbsolutePath(), true);
    }
    Matcher match = HOST_PORT.matcher(address);
    if (!match.matches() || !validPort(match.group(3))) {
      throw SlotsException.invalid(
          "the address must be host:port, [v6]:port or unix:PATH, not \"" + address + '"');
    }
    String v6 = match.group(1);
    String host = match.group(2);
    boolean local =
        v6 != null
            ? v6.equals("::1")
            : host.toLowerCase(Locale.ROOT).equals("localhost")
                || IPV4_LOOPBACK.matcher(host).matches();
    return new Address(address, "dns:///" + address, local);
  }

  private static boolean validPort(String text) {
    int port = Integer.parseInt(text);
    return port >= 1 && port <= 65535;
  }
}
