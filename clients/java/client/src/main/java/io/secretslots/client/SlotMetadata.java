package io.secretslots.client;

import java.time.Instant;

/**
 * What is known of a slot besides its value.
 *
 * @param slot the number
 * @param state its state
 * @param createTime when this version of the slot was written
 * @param updateTime when the slot was last changed
 * @param revision the commit that last changed it
 * @param size bytes of the value; 0 for a destroyed slot
 */
public record SlotMetadata(
    long slot, SlotState state, Instant createTime, Instant updateTime, long revision, int size) {}
