package io.secretslots.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.secretslots.client.Derived;
import io.secretslots.client.FakeSecrets;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretValue;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PoolSwapTest {
  private static final long BOUND_NANOS = 20_000_000_000L;

  @Test
  void queriesGoOnWhileThePasswordRotates() throws Exception {
    FakeSecrets secrets = FakeSecrets.of(Map.of(PoolSwap.NAME, "first"));
    SecretHandle password = secrets.handle(PoolSwap.NAME);
    try (PoolSwap.Database database = new PoolSwap.Database(password.current().value());
        Derived<HikariDataSource> pool = PoolSwap.pool(password)) {
      HikariDataSource first = pool.get();
      assertEquals("slot 0", PoolSwap.query(pool));
      SecretValue next = SecretValue.of("second");
      database.setPassword(next);
      secrets.rotate(PoolSwap.NAME, next);
      long until = System.nanoTime() + BOUND_NANOS;
      while (!PoolSwap.query(pool).equals("slot 1") || !first.isClosed()) {
        assertTrue(System.nanoTime() < until, "the pool was not swapped");
        Thread.sleep(5);
      }
      assertEquals("slot 1", PoolSwap.query(pool));
    } finally {
      secrets.close();
    }
  }
}
