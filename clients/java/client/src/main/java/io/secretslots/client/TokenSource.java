package io.secretslots.client;

import io.grpc.Status.Code;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/** Gives the bearer token as it is now; null when none is set up. */
interface TokenSource {
  /**
   * The token.
   *
   * @param fresh reads a file again however lately that was done
   * @throws SlotsException UNAUTHENTICATED with reason TOKEN_UNREADABLE when there is none to be
   *     had
   */
  String get(boolean fresh);

  /** The source that the credentials describe. */
  static TokenSource of(Credentials credentials, Consumer<String> warn) {
    if (credentials.tokenFile() != null) {
      return new FileToken(credentials.tokenFile(), warn);
    }
    Supplier<String> token = credentials.token();
    return token == null ? fresh -> null : fresh -> ask(token);
  }

  private static String ask(Supplier<String> token) {
    try {
      return checked(token.get(), "the token callback");
    } catch (SlotsException e) {
      throw e;
    } catch (RuntimeException e) {
      throw unreadable("the token callback failed", e);
    }
  }

  /** Refused here, because a transport could put the text of a bad header into its error. */
  private static String checked(String token, String from) {
    if (token == null || !Pattern.matches("[\\x21-\\x7e]+", token)) {
      throw unreadable("what " + from + " gives is no token", null);
    }
    return token;
  }

  private static SlotsException unreadable(String message, Throwable cause) {
    return new SlotsException(
        Code.UNAUTHENTICATED, "TOKEN_UNREADABLE", message, Map.of(), List.of(), null, cause);
  }

  /** A file that may change. When it can't be read, the last good content stays in use. */
  final class FileToken implements TokenSource {
    private static final long TTL_NANOS = Duration.ofSeconds(1).toNanos();

    private final Path file;
    private final Consumer<String> warn;
    private String last;
    private long readAt;

    FileToken(Path file, Consumer<String> warn) {
      this.file = file;
      this.warn = warn;
    }

    @Override
    public synchronized String get(boolean fresh) {
      if (!fresh && last != null && System.nanoTime() - readAt < TTL_NANOS) {
        return last;
      }
      try {
        last = checked(Files.readString(file).strip(), file.toString());
        readAt = System.nanoTime();
      } catch (IOException | SlotsException e) {
        if (last == null) {
          throw unreadable("no token can be read from " + file, e);
        }
        warn.accept("the token file " + file + " can't be read; the last token stays in use");
      }
      return last;
    }
  }
}
