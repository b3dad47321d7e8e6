package io.secretslots.client;

import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Supplier;

/** Who the client is and how that is protected on its way. Immutable; prints no token. */
public final class Credentials {
  private final Supplier<String> token;
  private final Path tokenFile;
  private final Tls tls;
  private final boolean plaintextAllowed;

  private Credentials(Supplier<String> token, Path tokenFile, Tls tls, boolean plaintextAllowed) {
    this.token = token;
    this.tokenFile = tokenFile;
    this.tls = tls;
    this.plaintextAllowed = plaintextAllowed;
  }

  /** No token: for servers that take a client certificate. */
  public static Credentials none() {
    return new Credentials(null, null, null, false);
  }

  /** This token. */
  public static Credentials token(String token) {
    Objects.requireNonNull(token);
    return token(() -> token);
  }

  /** The token that this gives; it is asked before each stream and each unary call. */
  public static Credentials token(Supplier<String> token) {
    return new Credentials(Objects.requireNonNull(token), null, null, false);
  }

  /** The token in this file, which may change; whitespace around it is dropped. */
  public static Credentials tokenFile(Path file) {
    return new Credentials(null, Objects.requireNonNull(file), null, false);
  }

  /** The token in the file at this path, which may change. */
  public static Credentials tokenFile(String path) {
    return tokenFile(Path.of(path));
  }

  /** The same over TLS. */
  public Credentials with(Tls tls) {
    return new Credentials(token, tokenFile, Objects.requireNonNull(tls), plaintextAllowed);
  }

  /** The same, with the token sent without TLS to another machine too. Think twice. */
  public Credentials allowPlaintext() {
    return new Credentials(token, tokenFile, tls, true);
  }

  Supplier<String> token() {
    return token;
  }

  Path tokenFile() {
    return tokenFile;
  }

  Tls tls() {
    return tls;
  }

  /** Refuses to show a token to the network. */
  void check(Address address) {
    boolean hasToken = token != null || tokenFile != null;
    if (hasToken && tls == null && !address.local() && !plaintextAllowed) {
      throw SlotsException.invalid(
          "PLAINTEXT_REFUSED",
          "a token is not sent to %s without TLS; add TLS, or allowPlaintext() if you must"
              .formatted(address.text()));
    }
  }

  @Override
  public String toString() {
    return "Credentials[token=%s, tls=%s]"
        .formatted(tokenFile != null ? tokenFile : token != null ? "[secret]" : "none", tls);
  }
}
