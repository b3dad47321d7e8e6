package io.secretslots.client;

import java.time.Instant;
import java.util.Map;
import java.util.OptionalLong;

/**
 * What is known of a secret besides its values.
 *
 * @param name the secret's name
 * @param comment the owner's text
 * @param labels the owner's labels
 * @param createTime when the secret was created
 * @param updateTime when it was last changed
 * @param etag changes with every change of the secret
 * @param revision its last change
 * @param slotCount how many slot numbers are known
 * @param enabledCount how many of them are enabled
 * @param disabledCount how many are disabled
 * @param destroyedCount how many are destroyed
 * @param currentSlot the current slot; empty when none is enabled
 */
public record SecretMetadata(
    String name,
    String comment,
    Map<String, String> labels,
    Instant createTime,
    Instant updateTime,
    String etag,
    long revision,
    int slotCount,
    int enabledCount,
    int disabledCount,
    int destroyedCount,
    OptionalLong currentSlot) {}
