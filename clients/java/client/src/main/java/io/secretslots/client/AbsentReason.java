package io.secretslots.client;

/** Why a secret has no value. */
public enum AbsentReason {
  /** There is no secret of that name. */
  NOT_EXISTING("SECRET_NOT_FOUND", "does not exist"),
  /** The secret exists and has no enabled slot. */
  NO_ENABLED_SLOT("NO_EFFECTIVE_SLOT", "has no enabled slot");

  final String errorReason;
  final String words;

  AbsentReason(String errorReason, String words) {
    this.errorReason = errorReason;
    this.words = words;
  }
}
