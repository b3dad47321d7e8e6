package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.grpc.Server;
import io.grpc.Status.Code;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.secretslots.v1.SecretServiceGrpc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConnectionTest {
  @TempDir Path dir;
  private final List<String> warnings = new CopyOnWriteArrayList<>();

  private static SlotsException refused(Runnable call) {
    SlotsException e = assertThrows(SlotsException.class, call::run);
    assertEquals(Code.INVALID_ARGUMENT, e.code());
    return e;
  }

  @Test
  void addresses() {
    assertEquals("dns:///db.example:50051", Address.parse("db.example:50051").target());
    assertEquals("dns:///[::1]:1", Address.parse("[::1]:1").target());
    assertEquals("unix:/run/s.sock", Address.parse("unix:/run/s.sock").target());
    for (String local :
        List.of("localhost:1", "LOCALHOST:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:x")) {
      assertTrue(Address.parse(local).local(), local);
    }
    for (String remote : List.of("10.0.0.1:1", "[::2]:1", "localhost.example:1", "127.0.0.1.x:1")) {
      assertFalse(Address.parse(remote).local(), remote);
    }
    for (String bad :
        List.of("", "host", "host:", ":1", "host:0", "host:65536", "h o:1", "::1:1", "unix:")) {
      refused(() -> Address.parse(bad));
    }
  }

  @Test
  void aUnixSocketIsDialled() throws Exception {
    assumeTrue(Epoll.isAvailable(), "gRPC's unix sockets need Linux");
    EventLoopGroup group = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    Path socket = dir.resolve("s.sock");
    Server server =
        NettyServerBuilder.forAddress(new DomainSocketAddress(socket.toFile()))
            .channelType(EpollServerDomainSocketChannel.class)
            .bossEventLoopGroup(group)
            .workerEventLoopGroup(group)
            .addService(new SecretServiceGrpc.SecretServiceImplBase() {})
            .build()
            .start();
    try (SlotsClient client = SlotsClient.connect("unix:" + socket, Credentials.token("t"))) {
      SlotsException e = assertThrows(SlotsException.class, client::getServerInfo);
      assertEquals(Code.UNIMPLEMENTED, e.code(), e.toString()); // said by the server
    } finally {
      server.shutdownNow();
      group.shutdownGracefully();
    }
  }

  @Test
  void aTokenStaysOffTheNetworkWithoutTls() {
    for (Credentials credentials :
        List.of(
            Credentials.token("t"), Credentials.token(() -> "t"), Credentials.tokenFile("/t"))) {
      assertEquals(
          "PLAINTEXT_REFUSED",
          refused(() -> SlotsClient.connect("10.0.0.1:1", credentials)).reason());
      SlotsClient.connect("10.0.0.1:1", credentials.allowPlaintext()).close();
      SlotsClient.connect("10.0.0.1:1", credentials.with(Tls.systemRoots())).close();
      SlotsClient.connect("127.0.0.1:1", credentials).close();
    }
    SlotsClient.connect("10.0.0.1:1", Credentials.none()).close();
  }

  @Test
  void optionsAreChecked() {
    ConnectOptions options = ConnectOptions.to("localhost:1", Credentials.none());
    refused(() -> options.withTimeout(Duration.ZERO));
    refused(() -> options.withMaxAttempts(0));
    refused(() -> OpenOptions.defaults().withTimeout(Duration.ofMillis(-1)));
    refused(() -> new Tls(null, dir, null, null));
  }

  @Test
  void aTokenFileMayChangeAndVanish() throws IOException {
    Path file = dir.resolve("token");
    TokenSource source = TokenSource.of(Credentials.tokenFile(file), warnings::add);
    SlotsException none = assertThrows(SlotsException.class, () -> source.get(true));
    assertEquals(Code.UNAUTHENTICATED, none.code());
    assertEquals("TOKEN_UNREADABLE", none.reason());
    Files.writeString(file, "\n first \n");
    assertEquals("first", source.get(false));
    Files.writeString(file, "second");
    assertEquals("second", source.get(true));
    Files.delete(file);
    assertEquals("second", source.get(true));
    Files.writeString(file, "two words");
    assertEquals("second", source.get(true));
    assertEquals(2, warnings.size());
    assertFalse(warnings.toString().contains("second") || warnings.toString().contains("words"));
  }

  @Test
  void aTokenCallbackMayFail() {
    for (Credentials credentials :
        List.of(
            Credentials.token(() -> null),
            Credentials.token(""),
            Credentials.token("a\nb"),
            Credentials.token(
                () -> {
                  throw new IllegalStateException("mine");
                }))) {
      SlotsException e =
          assertThrows(
              SlotsException.class, () -> TokenSource.of(credentials, warnings::add).get(false));
      assertEquals("TOKEN_UNREADABLE", e.reason());
    }
  }

  @Test
  void tlsFilesMustLoadAndFitTogether() throws Exception {
    for (String algorithm : List.of("RSA", "EC")) {
      Path cert = dir.resolve(algorithm + ".crt");
      Path key = dir.resolve(algorithm + ".key");
      makePair(algorithm, cert, key);
      TlsFiles.load(Tls.trusting(cert).withCertificate(cert, key)).credentials();
    }
    Path cert = dir.resolve("RSA.crt");
    Path key = dir.resolve("RSA.key");
    Path otherCert = dir.resolve("other.crt");
    Path otherKey = dir.resolve("other.key");
    makePair("EC", otherCert, otherKey);
    Tls tls = Tls.systemRoots();
    assertThrows(
        GeneralSecurityException.class,
        () -> TlsFiles.load(tls.withCertificate(dir.resolve("EC.crt"), otherKey)));
    assertThrows(
        GeneralSecurityException.class,
        () -> TlsFiles.load(tls.withCertificate(dir.resolve("EC.crt"), key)));
    assertThrows(
        GeneralSecurityException.class, () -> TlsFiles.load(tls.withCertificate(cert, cert)));
    assertThrows(GeneralSecurityException.class, () -> TlsFiles.load(Tls.trusting(key)));
    assertThrows(IOException.class, () -> TlsFiles.load(Tls.trusting(dir.resolve("nothing.crt"))));
  }

  private void makePair(String algorithm, Path cert, Path key) throws Exception {
    Path store = dir.resolve(cert.getFileName() + ".p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "x",
                "-keyalg",
                algorithm,
                "-dname",
                "CN=localhost",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-keystore",
                store.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(keytool.getInputStream().readAllBytes());
    assertEquals(0, keytool.waitFor(), said);
    KeyStore pair = KeyStore.getInstance(store.toFile(), "changeit".toCharArray());
    Certificate certificate = pair.getCertificate("x");
    Key privateKey = pair.getKey("x", "changeit".toCharArray());
    Files.writeString(cert, pem("CERTIFICATE", certificate.getEncoded()));
    Files.writeString(key, pem("PRIVATE KEY", privateKey.getEncoded()));
  }

  private static String pem(String kind, byte[] der) {
    return "-----BEGIN %s-----%n%s%n-----END %s-----%n"
        .formatted(kind, Base64.getMimeEncoder().encodeToString(der), kind);
  }

  @Test
  void filesThatDoNotLoadFailACallWithAReason() {
    ConnectOptions options =
        ConnectOptions.to(
            "localhost:1", Credentials.none().with(Tls.trusting(dir.resolve("nothing.crt"))));
    try (SlotsClient client = SlotsClient.connect(options)) {
      assertEquals(
          "TLS_UNREADABLE",
          assertThrows(SlotsException.class, () -> client.getSecret("app/db")).reason());
    }
  }
}
