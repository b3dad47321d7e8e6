package io.secretslots.client;

import io.grpc.Status.Code;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The wait of open: until every secret has a value, or it is clear that it won't be so. */
final class Opening {
  /** The server says no, and waiting would not change its mind. */
  private static final Set<Code> REFUSALS =
      EnumSet.of(Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED);

  private final Collection<SecretHandle> handles;
  private final boolean cached;
  private final Duration cacheGrace;
  // Guarded by this.
  private boolean contact;
  private boolean complete;
  private boolean away;
  private boolean refusedToken;
  private SlotsException refusal;
  private SlotsException lastError;

  /**
   * A wait that has not begun.
   *
   * @param cached whether the cache has a value for every name
   * @param cacheGrace how long the server has before the cache is taken
   */
  Opening(Collection<SecretHandle> handles, boolean cached, Duration cacheGrace) {
    this.handles = handles;
    this.cached = cached;
    this.cacheGrace = cacheGrace;
  }

  synchronized void received(boolean everyNameResolves) {
    contact = true;
    refusedToken = false;
    complete = everyNameResolves;
    notifyAll();
  }

  synchronized void failed(SlotsException error) {
    lastError = error;
    boolean badToken = error.code() == Code.UNAUTHENTICATED;
    if (REFUSALS.contains(error.code()) && !error.reason().equals("BAD_RESUME_TOKEN")
        || badToken && refusedToken) {
      refusal = error;
    }
    refusedToken = badToken;
    away = away || WatchLoop.isAway(error);
    notifyAll();
  }

  /**
   * Returns when the set may be used.
   *
   * @throws SlotsException when it may not
   */
  synchronized void await(Duration timeout) throws InterruptedException {
    long start = System.nanoTime();
    while (true) {
      long waited = System.nanoTime() - start;
      if (refusal != null) {
        throw refusal;
      }
      if (complete) {
        return;
      }
      // After contact the server's word counts, not the file's.
      boolean mayUseCache = cached && !contact;
      if (mayUseCache && (away || waited >= cacheGrace.toNanos())) {
        return;
      }
      long left = timeout.toNanos() - waited;
      if (left <= 0) {
        if (mayUseCache) {
          return;
        }
        throw missing();
      }
      long until = mayUseCache ? Math.min(left, cacheGrace.toNanos() - waited) : left;
      wait(until / 1_000_000 + 1);
    }
  }

  private SlotsException missing() {
    List<String> names = new ArrayList<>();
    List<String> reasons = new ArrayList<>();
    for (SecretHandle handle : handles) {
      SecretState state = handle.state();
      if (state != null && state.resolves()) {
        continue;
      }
      names.add(handle.name());
      reasons.add(handle.name() + " (" + why(state) + ")");
    }
    return new SlotsException(
        Code.DEADLINE_EXCEEDED,
        "SECRETS_MISSING",
        "no value in time for " + String.join(", ", reasons),
        Map.of("missing", String.join(",", names)),
        List.of(),
        null,
        lastError);
  }

  private String why(SecretState state) {
    if (contact && state != null) {
      return state.whyNot();
    }
    return lastError == null
        ? "no answer from the server"
        : "no contact: " + lastError.code() + ": " + lastError.getMessage();
  }
}
