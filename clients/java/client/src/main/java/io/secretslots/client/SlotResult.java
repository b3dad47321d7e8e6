package io.secretslots.client;

/**
 * What a change of a slot's state did.
 *
 * @param slot the slot afterwards
 * @param revision the last change of the secret
 * @param epoch the store's history
 */
public record SlotResult(SlotMetadata slot, long revision, String epoch) {}
