package io.secretslots.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * A sealed copy of a set on disk: magic, nonce, AES-256-GCM ciphertext with its tag. The form is
 * the same for the clients of every language.
 */
final class CacheFile {
  private static final byte[] MAGIC = "SSCACHE1".getBytes(StandardCharsets.US_ASCII);
  private static final int NONCE_BYTES = 12;
  private static final int TAG_BYTES = 16;
  private static final SecureRandom RANDOM = new SecureRandom();

  /** The file is there and can't be used. */
  static final class UnreadableException extends Exception {
    private static final long serialVersionUID = 1;

    UnreadableException(String message) {
      super(message);
    }
  }

  private final Path path;
  private final SecretKeySpec key;

  CacheFile(Path path, byte[] key) {
    this.path = path.toAbsolutePath();
    this.key = new SecretKeySpec(key, "AES");
  }

  Path path() {
    return path;
  }

  /** What the file holds; empty when there is none. */
  Optional<byte[]> read() throws IOException, UnreadableException {
    byte[] file;
    try {
      file = Files.readAllBytes(path);
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
    int header = MAGIC.length + NONCE_BYTES;
    if (file.length < header + TAG_BYTES
        || !Arrays.equals(file, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      throw new UnreadableException("it is no cache file of this version");
    }
    byte[] nonce = Arrays.copyOfRange(file, MAGIC.length, header);
    try {
      return Optional.of(
          cipher(Cipher.DECRYPT_MODE, nonce).doFinal(file, header, file.length - header));
    } catch (GeneralSecurityException e) {
      throw new UnreadableException("the key is another one, or the file was changed");
    }
  }

  /** Replaces the file: a reader sees the old content or the new, also after a power cut. */
  void write(byte[] payload) throws IOException {
    byte[] nonce = new byte[NONCE_BYTES];
    RANDOM.nextBytes(nonce);
    ByteBuffer file;
    try {
      byte[] sealed = cipher(Cipher.ENCRYPT_MODE, nonce).doFinal(payload);
      file = ByteBuffer.allocate(MAGIC.length + NONCE_BYTES + sealed.length);
      file.put(MAGIC).put(nonce).put(sealed).flip();
    } catch (GeneralSecurityException e) {
      throw new IOException("the cache can't be sealed", e);
    }
    Path temporary = path.resolveSibling(temporaryName());
    try {
      try (FileChannel out =
          FileChannel.open(
              temporary,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              ownerOnly())) {
        while (file.hasRemaining()) {
          out.write(file);
        }
        out.force(true);
      }
      Files.move(
          temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
    syncDirectory();
  }

  private String temporaryName() {
    byte[] random = new byte[8];
    RANDOM.nextBytes(random);
    return "." + path.getFileName() + "." + HexFormat.of().formatHex(random) + ".tmp";
  }

  private FileAttribute<?>[] ownerOnly() {
    if (!path.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      return new FileAttribute<?>[0];
    }
    return new FileAttribute<?>[] {
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
    };
  }

  private void syncDirectory() {
    try (FileChannel directory = FileChannel.open(path.getParent(), StandardOpenOption.READ)) {
      directory.force(true);
    } catch (IOException e) {
      // Not every system can open a directory; the content itself is synced.
    }
  }

  private Cipher cipher(int mode, byte[] nonce) throws GeneralSecurityException {
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
    cipher.init(mode, key, new GCMParameterSpec(TAG_BYTES * 8, nonce));
    cipher.updateAAD(MAGIC);
    return cipher;
  }
}
