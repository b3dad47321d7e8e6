package io.secretslots.client;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** One channel and what proves who we are, both renewed as their files change. */
final class Connection implements AutoCloseable {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final long TLS_CHECK_NANOS = Duration.ofSeconds(10).toNanos();

  /**
   * A channel that sends the token.
   *
   * @param channel to call on
   * @param token that it sends; null for none
   */
  record Ready(Channel channel, String token) {}

  private final ConnectOptions options;
  private final Address address;
  private final TokenSource tokens;
  private final Tls tls;

  private final Set<AutoCloseable> dependants = ConcurrentHashMap.newKeySet();

  private ManagedChannel channel;
  private TlsFiles files;
  private long filesCheckedAt;
  private boolean closed;

  Connection(ConnectOptions options) {
    this.options = options;
    address = Address.parse(options.address());
    options.credentials().check(address);
    tokens = TokenSource.of(options.credentials(), this::warn);
    tls = options.credentials().tls();
  }

  ConnectOptions options() {
    return options;
  }

  /** Never throws: a warning is not worth a call. */
  void warn(String warning) {
    Consumer<String> sink = options.onWarning();
    try {
      sink.accept(warning);
    } catch (RuntimeException e) {
      // The sink is the caller's, and so is its trouble.
    }
  }

  /** What a stream calls on: the files are read again. */
  Ready forStream() {
    return ready(tokens.get(true), channel(true));
  }

  /**
   * What a unary call calls on: the files are read again now and then.
   *
   * @param retry whether an attempt failed UNAVAILABLE, as it does with a certificate that expired
   */
  Ready forCall(boolean retry) {
    return ready(tokens.get(false), channel(retry));
  }

  private static Ready ready(String token, Channel channel) {
    if (token == null) {
      return new Ready(channel, null);
    }
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return new Ready(
        ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers)),
        token);
  }

  /** The token as it is now, after the server refused the one before. */
  String tokenAgain() {
    return tokens.get(true);
  }

  private synchronized Channel channel(boolean fresh) {
    if (closed) {
      throw closedError();
    }
    if (tls != null
        && (fresh || files == null || System.nanoTime() - filesCheckedAt > TLS_CHECK_NANOS)) {
      loadFiles();
    }
    if (channel == null) {
      channel = dial(InsecureChannelCredentials.create());
    } else if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      // The channel waits out a backoff of its own and meanwhile fails calls with an old error.
      // From idle, the next call connects at once and fails with what happens then.
      channel.enterIdle();
    }
    return channel;
  }

  /** Moves to a new channel when the files changed. */
  private void loadFiles() {
    try {
      TlsFiles now = TlsFiles.load(tls);
      if (files == null || !now.sameAs(files)) {
        ManagedChannel next = dial(now.credentials());
        if (channel != null) {
          channel.shutdown(); // calls that are running finish on it
        }
        channel = next;
        files = now;
      }
      filesCheckedAt = System.nanoTime();
    } catch (IOException | GeneralSecurityException | IllegalArgumentException e) {
      if (files == null) {
        throw new SlotsException(
            Code.FAILED_PRECONDITION,
            "TLS_UNREADABLE",
            "the TLS files do not load: " + e.getMessage(),
            Map.of(),
            List.of(),
            null,
            e);
      }
      warn("the TLS files do not load; the last good ones stay in use: " + e.getMessage());
    }
  }

  private ManagedChannel dial(ChannelCredentials credentials) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(address.target(), credentials)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            // Retries are ours: a hidden one could repeat what must not be repeated.
            .disableRetry()
            .userAgent("secretslots-java/" + Version.TEXT);
    if (tls != null && tls.serverName() != null) {
      builder.overrideAuthority(tls.serverName());
    }
    return builder.build();
  }

  /** Has this closed before the channel. */
  void attach(AutoCloseable dependant) {
    dependants.add(dependant);
  }

  void detach(AutoCloseable dependant) {
    dependants.remove(dependant);
  }

  static SlotsException closedError() {
    return new SlotsException(Code.CANCELLED, "CLIENT_CLOSED", "the client is closed", Map.of());
  }

  /** Cancels what is running and waits a little until the channel is gone. */
  @Override
  public void close() {
    for (AutoCloseable dependant : dependants) {
      try {
        dependant.close();
      } catch (Exception e) {
        warn("closing failed: " + e.getClass().getName());
      }
    }
    ManagedChannel last;
    synchronized (this) {
      closed = true;
      last = channel;
      channel = null;
    }
    if (last == null) {
      return;
    }
    last.shutdownNow();
    try {
      last.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
