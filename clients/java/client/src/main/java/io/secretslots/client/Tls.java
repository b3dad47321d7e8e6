package io.secretslots.client;

import java.nio.file.Path;
import java.util.Objects;

/**
 * The PEM files of a TLS connection. They are read again while the program runs, so certificates
 * are renewed by replacing the files.
 *
 * @param ca roots to trust instead of the system's; null for the system's
 * @param cert the client's certificate chain; null for none
 * @param key its private key (PKCS #8, not encrypted); given together with {@code cert}
 * @param serverName the name to check the server's certificate against, when it is not the
 *     address's host; null otherwise
 */
public record Tls(Path ca, Path cert, Path key, String serverName) {
  /** Checks that {@code cert} and {@code key} come together. */
  public Tls {
    if ((cert == null) != (key == null)) {
      throw SlotsException.invalid("a client certificate and its key go together");
    }
  }

  /** Trusts the system's roots. */
  public static Tls systemRoots() {
    return new Tls(null, null, null, null);
  }

  /** Trusts the roots in this file. */
  public static Tls trusting(Path ca) {
    return new Tls(Objects.requireNonNull(ca), null, null, null);
  }

  /** Shows a client certificate too (mTLS). */
  public Tls withCertificate(Path cert, Path key) {
    return new Tls(ca, Objects.requireNonNull(cert), Objects.requireNonNull(key), serverName);
  }

  /** Expects the server's certificate to be for this name. */
  public Tls withServerName(String name) {
    return new Tls(ca, cert, key, Objects.requireNonNull(name));
  }
}
