package io.secretslots.client;

import com.google.protobuf.ByteString;
import io.grpc.Status.Code;
import java.util.Map;
import java.util.zip.CRC32C;

/** CRC32C, which travels with every value. */
final class Checksum {
  private Checksum() {}

  static int of(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  /** The value, when it is the one that was sent. */
  static SecretValue verified(String name, ByteString value, int crc32c) {
    byte[] bytes = value.toByteArray();
    if (of(bytes) != crc32c) {
      throw new SlotsException(
          Code.DATA_LOSS,
          "DATA_LOSS",
          "a value of " + name + " does not match its checksum",
          Map.of("name", name));
    }
    return SecretValue.owning(bytes);
  }
}
