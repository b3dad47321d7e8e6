package io.secretslots.client;

import java.util.OptionalLong;

/**
 * What a put did.
 *
 * @param name the secret's name
 * @param slot the slot written
 * @param state its state afterwards
 * @param revision the commit that wrote this version, also when the call changed nothing
 * @param created whether the slot number was not known before
 * @param currentSlot the current slot afterwards; empty when none is enabled
 * @param epoch the store's history
 */
public record PutResult(
    String name,
    long slot,
    SlotState state,
    long revision,
    boolean created,
    OptionalLong currentSlot,
    String epoch) {}
