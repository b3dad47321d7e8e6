package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Callbacks and the fake, which behaves as a real set does. */
class ListenerTest {
  private final FakeSecrets secrets = FakeSecrets.of(Map.of("app/db", "v0"));
  private final SecretHandle handle = secrets.handle("app/db");

  @AfterEach
  void close() {
    secrets.close();
  }

  @Test
  void eachChangeIsToldOnceInOrderOneAtATime() throws Exception {
    List<Change> got = new CopyOnWriteArrayList<>();
    AtomicBoolean running = new AtomicBoolean();
    AtomicInteger overlaps = new AtomicInteger();
    handle.onChange(
        change -> {
          if (running.getAndSet(true)) {
            overlaps.incrementAndGet();
          }
          got.add(change);
          running.set(false);
        });
    for (int i = 1; i <= 500; i++) {
      secrets.rotate("app/db", SecretValue.of("v" + i));
    }
    Until.holds(() -> got.size() == 500);
    for (int i = 0; i < 500; i++) {
      assertEquals("v" + (i + 1), got.get(i).current().current().value().text());
      assertEquals("v" + i, got.get(i).previous().current().value().text());
      assertTrue(got.get(i).currentChanged());
    }
    assertEquals(0, overlaps.get());
  }

  @Test
  void aSlowListenerDelaysOnlyItself() throws Exception {
    CountDownLatch release = new CountDownLatch(1);
    List<Change> slow = new CopyOnWriteArrayList<>();
    List<Change> fast = new CopyOnWriteArrayList<>();
    handle.onChange(
        change -> {
          try {
            release.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          slow.add(change);
        });
    handle.onChange(fast::add);
    secrets.rotate("app/db", SecretValue.of("v1"));
    secrets.rotate("app/db", SecretValue.of("v2"));
    Until.holds(() -> fast.size() == 2);
    assertEquals("v2", handle.current().value().text());
    assertEquals(0, slow.size());
    release.countDown();
    Until.holds(() -> slow.size() == 2);
  }

  @Test
  void anExceptionDoesNoHarm() throws Exception {
    List<Change> got = new CopyOnWriteArrayList<>();
    handle.onChange(
        change -> {
          got.add(change);
          throw new IllegalStateException("mine");
        });
    secrets.rotate("app/db", SecretValue.of("v1"));
    secrets.rotate("app/db", SecretValue.of("v2"));
    Until.holds(() -> got.size() == 2);
  }

  @Test
  void endsWithItsSubscription() throws Exception {
    List<Change> ended = new CopyOnWriteArrayList<>();
    List<Change> other = new CopyOnWriteArrayList<>();
    Subscription subscription = handle.onChange(ended::add);
    subscription.close();
    handle.onChange(other::add);
    secrets.rotate("app/db", SecretValue.of("v1"));
    Until.holds(() -> other.size() == 1);
    assertEquals(0, ended.size());
  }

  @Test
  void saysWhetherTheCurrentValueChanged() throws Exception {
    List<Change> got = new CopyOnWriteArrayList<>();
    handle.onChange(got::add);
    secrets.rotate("app/db", SecretValue.of("v5"), 5);
    secrets.rotate("app/db", SecretValue.of("v3"), 3);
    secrets.disable("app/db", 5);
    secrets.disable("app/db", 77);
    secrets.delete("app/db");
    Until.holds(() -> got.size() == 4);
    assertEquals(
        List.of(true, false, true, true), got.stream().map(Change::currentChanged).toList());
    assertEquals("v3", got.get(2).current().current().value().text());
    assertEquals("SECRET_NOT_FOUND", assertThrows(SlotsException.class, handle::current).reason());
  }

  @Test
  void theFakeIsNeverStale() {
    assertFalse(secrets.stale());
    assertTrue(secrets.age().orElseThrow().isZero());
    assertEquals("fake", handle.state().epoch());
    assertEquals(
        "NAME_NOT_DECLARED",
        assertThrows(SlotsException.class, () -> secrets.handle("app/other")).reason());
  }
}
