package io.secretslots.client;

import java.time.Instant;

/**
 * One enabled slot of a secret.
 *
 * @param number the slot's number
 * @param revision the commit that made the slot so
 * @param createTime when this version was written; null when that is not known
 * @param value the value; null when the server could not open its record (see {@link #failed})
 */
public record Slot(long number, long revision, Instant createTime, SecretValue value) {
  /** Whether the server holds this slot and can't open its record. */
  public boolean failed() {
    return value == null;
  }

  /** One commit writes a slot once: the same revision is the same value. */
  boolean sameAs(Slot other) {
    return number == other.number && revision == other.revision && failed() == other.failed();
  }
}
