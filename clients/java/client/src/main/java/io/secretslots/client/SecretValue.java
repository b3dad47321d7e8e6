package io.secretslots.client;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;

/**
 * The bytes of a secret. It prints as {@code [secret]}; reading it is explicit: {@link #bytes} or
 * {@link #text}.
 */
public final class SecretValue {
  private static final byte[] HASH_SALT = new byte[16];

  static {
    new SecureRandom().nextBytes(HASH_SALT);
  }

  // Transient, so that serialisers that read fields by reflection (Gson among them) skip it.
  private final transient byte[] bytes;

  private SecretValue(byte[] owned) {
    this.bytes = owned;
  }

  /** A value of a copy of these bytes. */
  public static SecretValue of(byte[] bytes) {
    return new SecretValue(bytes.clone());
  }

  /** A value of this text's UTF-8 bytes. */
  public static SecretValue of(String text) {
    return new SecretValue(text.getBytes(StandardCharsets.UTF_8));
  }

  /** A value of these bytes, which nobody else may hold. */
  static SecretValue owning(byte[] bytes) {
    return new SecretValue(bytes);
  }

  /** A copy of the bytes. */
  public byte[] bytes() {
    return bytes.clone();
  }

  /**
   * The value as text.
   *
   * @throws IllegalStateException when the bytes are not UTF-8
   */
  public String text() {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalStateException("the value is not UTF-8 text", e);
    }
  }

  /** How many bytes it has. */
  public int length() {
    return bytes.length;
  }

  /** The bytes themselves, for code that only reads them. */
  byte[] view() {
    return bytes;
  }

  /** Compares in a time that depends on the lengths alone. */
  @Override
  public boolean equals(Object other) {
    return other instanceof SecretValue that && MessageDigest.isEqual(bytes, that.bytes);
  }

  /** Says nothing of the value outside of this process: the hash is salted. */
  @Override
  public int hashCode() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(HASH_SALT);
      return ByteBuffer.wrap(digest.digest(bytes)).getInt();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-256
    }
  }

  @Override
  public String toString() {
    return "[secret]";
  }
}
