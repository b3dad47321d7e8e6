package io.secretslots.examples;

import io.secretslots.client.Credentials;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretSet;
import java.io.IOException;

/** The five lines: open, read the newest, read what was effective, react to a change. */
public final class FiveLines {
  private FiveLines() {}

  /** Prints slots until standard input ends. */
  public static void main(String[] args) throws IOException {
    String address = Settings.address();
    Credentials credentials = Settings.credentials();

    SecretSet secrets = SecretSet.open(address, credentials, "app/db");
    SecretHandle password = secrets.handle("app/db");
    String newest = password.current().value().text();
    String earlier = password.effectiveAt(1741790697).value().text();
    password.onChange(change -> System.out.println("now: " + change.current().current()));

    System.out.println("newest is the same as then: " + newest.equals(earlier));
    while (System.in.read() != -1) {}
    secrets.close();
  }
}
