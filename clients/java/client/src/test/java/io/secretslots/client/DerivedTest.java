package io.secretslots.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class DerivedTest {
  private final FakeSecrets secrets = FakeSecrets.of(Map.of("app/db", "v0"));
  private final SecretHandle handle = secrets.handle("app/db");
  private final List<String> closed = new CopyOnWriteArrayList<>();

  @AfterEach
  void close() {
    secrets.close();
  }

  private static String text(SecretVersion version) {
    return version.value().text();
  }

  private void rotate(String value) {
    secrets.rotate("app/db", SecretValue.of(value));
  }

  @Test
  void followsAndClosesTheOldOneAfterwards() throws Exception {
    Derived<String> derived = handle.derived(DerivedTest::text, closed::add);
    assertEquals("v0", derived.get());
    rotate("v1");
    Until.holds(() -> derived.get().equals("v1") && closed.equals(List.of("v0")));
    derived.close();
    derived.close();
    assertEquals(List.of("v0", "v1"), closed);
    assertEquals("v1", derived.get());
  }

  @Test
  void theFirstErrorIsTheCallers() {
    IOException mine = new IOException("mine");
    SecretHandle.Build<String, IOException> failing =
        version -> {
          throw mine;
        };
    assertEquals(mine, assertThrows(IOException.class, () -> handle.derived(failing, closed::add)));
    secrets.delete("app/db");
    assertThrows(SlotsException.class, () -> handle.derived(DerivedTest::text, closed::add));
    assertEquals(List.of(), closed);
  }

  @Test
  void keepsTheOldOneWhileBuildingFailsAndTriesAgain() throws Exception {
    AtomicInteger failures = new AtomicInteger();
    Derived<String> derived =
        handle.derived(
            version -> {
              if (text(version).equals("flaky") && failures.incrementAndGet() < 4) {
                throw new IllegalStateException("not yet");
              }
              return text(version);
            },
            closed::add);
    rotate("flaky");
    Until.holds(() -> failures.get() >= 1);
    Until.holds(() -> derived.get().equals("flaky"));
    assertEquals(4, failures.get());
    Until.holds(() -> closed.equals(List.of("v0")));
  }

  @Test
  void leavesAFailingValueForANewerOne() throws Exception {
    CountDownLatch tried = new CountDownLatch(1);
    Derived<String> derived =
        handle.derived(
            version -> {
              if (text(version).equals("bad")) {
                tried.countDown();
                throw new IllegalStateException("never");
              }
              return text(version);
            },
            closed::add);
    rotate("bad");
    tried.await();
    assertEquals("v0", derived.get());
    rotate("good");
    Until.holds(() -> derived.get().equals("good") && closed.equals(List.of("v0")));
  }

  @Test
  void buildsOneAtATimeAndSkipsWhatCameAndWent() throws Exception {
    CountDownLatch building = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    List<String> built = new CopyOnWriteArrayList<>();
    Derived<String> derived =
        handle.derived(
            version -> {
              built.add(text(version));
              if (text(version).equals("v1")) {
                building.countDown();
                release.await();
              }
              return text(version);
            },
            closed::add);
    rotate("v1");
    building.await();
    rotate("v2");
    rotate("v3");
    release.countDown();
    Until.holds(() -> derived.get().equals("v3") && closed.equals(List.of("v0", "v1")));
    assertEquals(List.of("v0", "v1", "v3"), built);
  }

  @Test
  void staysWhileTheSecretIsAbsentAndWhenNothingThatMattersChanged() throws Exception {
    AtomicInteger builds = new AtomicInteger();
    List<Change> seen = new CopyOnWriteArrayList<>();
    Derived<String> derived =
        handle.derived(
            version -> {
              builds.incrementAndGet();
              return text(version);
            },
            closed::add);
    handle.onChange(seen::add);
    secrets.rotate("app/db", SecretValue.of("v9"), 9);
    Until.holds(() -> derived.get().equals("v9"));
    secrets.rotate("app/db", SecretValue.of("below"), 3);
    secrets.delete("app/db");
    Until.holds(() -> seen.size() == 3);
    assertEquals("v9", derived.get());
    secrets.rotate("app/db", SecretValue.of("back"), 1);
    Until.holds(() -> derived.get().equals("back"));
    assertEquals(3, builds.get());
  }

  @Test
  void anErrorInCloseDoesNoHarm() throws Exception {
    Derived<String> derived =
        handle.derived(
            DerivedTest::text,
            old -> {
              closed.add(old);
              throw new IOException("stuck");
            });
    rotate("v1");
    rotate("v2");
    Until.holds(() -> derived.get().equals("v2") && closed.contains("v0"));
  }

  @Test
  void closingTheSetClosesTheResourceAlsoOneThatIsBeingBuilt() throws Exception {
    CountDownLatch building = new CountDownLatch(1);
    CountDownLatch release = new CountDownLatch(1);
    handle.derived(
        version -> {
          if (text(version).equals("v1")) {
            building.countDown();
            release.await();
          }
          return text(version);
        },
        closed::add);
    rotate("v1");
    building.await();
    secrets.close();
    assertEquals(List.of("v0"), closed);
    release.countDown();
    Until.holds(() -> closed.equals(List.of("v0", "v1")));
    assertTrue(handle.current().value().equals(SecretValue.of("v1")));
  }
}
