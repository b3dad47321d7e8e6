package io.secretslots.client;

import java.time.Instant;

/**
 * What resolving a secret gives.
 *
 * @param name the secret's name
 * @param slot the slot the value is in
 * @param value the value; it does not print
 * @param revision the last change of the secret, not of the slot
 * @param epoch the store's history; revisions compare within one epoch only
 * @param createTime when this version of the slot was written; null when that is not known
 */
public record SecretVersion(
    String name, long slot, SecretValue value, long revision, String epoch, Instant createTime) {}
