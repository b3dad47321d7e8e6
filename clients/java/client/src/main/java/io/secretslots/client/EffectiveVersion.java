package io.secretslots.client;

/**
 * What {@link SlotsClient#getEffectiveAt(String, long)} answers.
 *
 * @param version the version that is effective
 * @param at the number that was resolved
 */
public record EffectiveVersion(SecretVersion version, long at) {}
