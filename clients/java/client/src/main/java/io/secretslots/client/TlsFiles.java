package io.secretslots.client;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The content of TLS files that load and fit together.
 *
 * @param ca PEM, or null
 * @param cert PEM, or null
 * @param key PEM, or null
 */
record TlsFiles(byte[] ca, byte[] cert, byte[] key) {
  private static final Pattern PKCS8 =
      Pattern.compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");
  private static final Map<String, String> SIGNATURES =
      Map.of("RSA", "SHA256withRSA", "EC", "SHA256withECDSA", "EdDSA", "EdDSA");

  /**
   * Reads the files.
   *
   * @throws IOException when one can't be read
   * @throws GeneralSecurityException when one holds no such thing, or the key is not the
   *     certificate's
   */
  static TlsFiles load(Tls tls) throws IOException, GeneralSecurityException {
    TlsFiles files = new TlsFiles(read(tls.ca()), read(tls.cert()), read(tls.key()));
    if (files.ca != null) {
      firstCertificate(files.ca);
    }
    if (files.cert != null) {
      checkPair(firstCertificate(files.cert).getPublicKey(), files.key);
    }
    return files;
  }

  ChannelCredentials credentials() throws IOException {
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    if (ca != null) {
      builder.trustManager(stream(ca));
    }
    if (cert != null) {
      builder.keyManager(stream(cert), stream(key));
    }
    return builder.build();
  }

  boolean sameAs(TlsFiles other) {
    return Arrays.equals(ca, other.ca)
        && Arrays.equals(cert, other.cert)
        && Arrays.equals(key, other.key);
  }

  private static byte[] read(Path path) throws IOException {
    return path == null ? null : Files.readAllBytes(path);
  }

  private static InputStream stream(byte[] bytes) {
    return new ByteArrayInputStream(bytes);
  }

  private static Certificate firstCertificate(byte[] pem) throws CertificateException {
    return CertificateFactory.getInstance("X.509").generateCertificates(stream(pem)).stream()
        .findFirst()
        .orElseThrow(() -> new CertificateException("no certificate in the file"));
  }

  /** Signs with one and verifies with the other: replaced files may be caught halfway. */
  private static void checkPair(PublicKey publicKey, byte[] keyPem)
      throws GeneralSecurityException {
    Matcher match = PKCS8.matcher(new String(keyPem, StandardCharsets.ISO_8859_1));
    if (!match.find()) {
      throw new GeneralSecurityException("the key file holds no unencrypted PKCS #8 key");
    }
    String algorithm = publicKey.getAlgorithm();
    String signing = SIGNATURES.get(algorithm);
    if (signing == null) {
      return; // a kind of key that this check does not know; the transport decides
    }
    byte[] der = Base64.getMimeDecoder().decode(match.group(1));
    PrivateKey privateKey =
        KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
    byte[] probe = "secretslots".getBytes(StandardCharsets.US_ASCII);
    Signature signature = Signature.getInstance(signing);
    signature.initSign(privateKey);
    signature.update(probe);
    byte[] signed = signature.sign();
    signature.initVerify(publicKey);
    signature.update(probe);
    if (!signature.verify(signed)) {
      throw new GeneralSecurityException("the key is not the certificate's");
    }
  }

  @Override
  public String toString() {
    return "TlsFiles"; // never the key
  }
}
