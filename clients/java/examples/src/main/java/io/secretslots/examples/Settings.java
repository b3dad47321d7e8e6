package io.secretslots.examples;

import io.secretslots.client.Credentials;

/** Where the examples find their server. */
final class Settings {
  private Settings() {}

  static String address() {
    return or("SLOTS_ADDRESS", "127.0.0.1:50051");
  }

  static Credentials credentials() {
    return Credentials.tokenFile(or("SLOTS_TOKEN_FILE", "data/admin.token"));
  }

  static int port() {
    return Integer.parseInt(or("PORT", "8080"));
  }

  private static String or(String variable, String otherwise) {
    String value = System.getenv(variable);
    return value == null ? otherwise : value;
  }
}
