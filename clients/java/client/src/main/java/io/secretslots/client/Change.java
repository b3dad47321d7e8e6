package io.secretslots.client;

/**
 * One applied change of a secret.
 *
 * @param name the secret's name
 * @param previous the state before
 * @param current the state now
 * @param currentChanged whether what {@link SecretState#current} gives differs in slot, value,
 *     failure or absence
 */
public record Change(
    String name, SecretState previous, SecretState current, boolean currentChanged) {
  static Change between(SecretState previous, SecretState current) {
    return new Change(current.name(), previous, current, current.resolvesUnlike(previous));
  }
}
