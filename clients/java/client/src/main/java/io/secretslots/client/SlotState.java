package io.secretslots.client;

/** Whether a slot takes part in resolution. */
public enum SlotState {
  /** A state that this client does not know. */
  UNKNOWN,
  /** It does. */
  ENABLED,
  /** It is skipped, and can be enabled again. */
  DISABLED,
  /** Its value is gone for good. */
  DESTROYED
}
