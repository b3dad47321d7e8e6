package io.secretslots.client;

import java.util.Map;
import java.util.Objects;

/**
 * Which metadata of a secret to change. Immutable.
 *
 * @param comment the new comment; null to leave it
 * @param labels the new labels, all of them; null to leave them
 */
public record SecretUpdate(String comment, Map<String, String> labels) {
  /** Keeps a copy of the labels. */
  public SecretUpdate {
    labels = labels == null ? null : Map.copyOf(labels);
  }

  /** Another comment. */
  public static SecretUpdate comment(String comment) {
    return new SecretUpdate(Objects.requireNonNull(comment), null);
  }

  /** Other labels in place of all that are there. */
  public static SecretUpdate labels(Map<String, String> labels) {
    return new SecretUpdate(null, Objects.requireNonNull(labels));
  }

  /** A comment too. */
  public SecretUpdate andComment(String comment) {
    return new SecretUpdate(Objects.requireNonNull(comment), labels);
  }
}
