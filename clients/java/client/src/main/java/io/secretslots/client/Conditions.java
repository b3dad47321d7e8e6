package io.secretslots.client;

import java.util.Objects;

/**
 * Under which conditions a change is made.
 *
 * @param etag the etag that the secret must have today; "" for any
 * @param requestId makes a repeat safe; null to have one made
 */
public record Conditions(String etag, String requestId) {
  /** None. */
  public static final Conditions NONE = new Conditions("", null);

  /** Checks for null. */
  public Conditions {
    Objects.requireNonNull(etag);
  }

  /** Only when the secret's etag is this one. */
  public static Conditions etag(String etag) {
    return new Conditions(etag, null);
  }

  /** With an id of the caller's, so that a repeat in another process is safe too. */
  public Conditions withRequestId(String requestId) {
    return new Conditions(etag, Objects.requireNonNull(requestId));
  }
}
