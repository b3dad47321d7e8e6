/**
 * Secrets that are always the newest.
 *
 * <p>{@link io.secretslots.client.SecretSet#open} follows secrets on one stream and gives a {@link
 * io.secretslots.client.SecretHandle} for each; reading a handle touches memory only and goes on
 * working while the server is away. {@link io.secretslots.client.SlotsClient} has the unary calls.
 *
 * <p>Slots, revisions and points on the slot axis are {@code long}, 0 to 2^63-1.
 */
package io.secretslots.client;
