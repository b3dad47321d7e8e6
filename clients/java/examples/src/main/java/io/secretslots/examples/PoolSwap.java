package io.secretslots.examples;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.secretslots.client.Derived;
import io.secretslots.client.PutSlot;
import io.secretslots.client.SecretHandle;
import io.secretslots.client.SecretSet;
import io.secretslots.client.SecretValue;
import io.secretslots.client.SecretVersion;
import io.secretslots.client.SlotsClient;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.UUID;

/**
 * A connection pool that follows its database's password. Here the database is in memory and its
 * password rotates every 5 s; queries go on.
 */
public final class PoolSwap {
  static final String NAME = "app/db";
  private static final String URL = "jdbc:h2:mem:shop";

  private PoolSwap() {}

  /** The pool: a new one for each new password, the old one closed when the new one works. */
  static Derived<HikariDataSource> pool(SecretHandle password) {
    return password.derived(PoolSwap::connect);
  }

  private static HikariDataSource connect(SecretVersion password) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(URL);
    config.setUsername("app");
    config.setPassword(password.value().text());
    config.setPoolName("slot " + password.slot());
    config.setMaximumPoolSize(4);
    return new HikariDataSource(config); // connects, and throws when it can't
  }

  /** Runs a query and says on which pool: once more when the pool was swapped under it. */
  static String query(Derived<HikariDataSource> pool) throws SQLException {
    while (true) {
      HikariDataSource now = pool.get();
      try (Connection connection = now.getConnection();
          Statement statement = connection.createStatement()) {
        statement.execute("SELECT 1");
        return now.getPoolName();
      } catch (SQLException e) {
        if (pool.get() == now) {
          throw e;
        }
      }
    }
  }

  /** What rotates the password in the database; elsewhere, and with other rights, in real life. */
  static final class Database implements AutoCloseable {
    private final Connection admin;

    Database(SecretValue password) throws SQLException {
      admin = DriverManager.getConnection(URL, "admin", "admin");
      try (Statement statement = admin.createStatement()) {
        statement.execute("CREATE USER app PASSWORD '" + password.text() + "'");
      }
    }

    void setPassword(SecretValue password) throws SQLException {
      try (Statement statement = admin.createStatement()) {
        statement.execute("ALTER USER app SET PASSWORD '" + password.text() + "'");
      }
    }

    @Override
    public void close() throws SQLException {
      admin.createStatement().execute("SHUTDOWN");
    }
  }

  /** Rotates and queries until it is ended. */
  public static void main(String[] args) throws Exception {
    try (SlotsClient client = SlotsClient.connect(Settings.address(), Settings.credentials());
        SecretSet secrets = client.open(NAME)) {
      SecretHandle password = secrets.handle(NAME);
      try (Database database = new Database(password.current().value());
          Derived<HikariDataSource> pool = pool(password)) {
        for (int tick = 1; ; tick++) {
          System.out.println("query ok on pool " + query(pool));
          Thread.sleep(500);
          if (tick % 10 == 0) {
            SecretValue next = SecretValue.of(UUID.randomUUID().toString());
            database.setPassword(next);
            client.putSlot(PutSlot.next(NAME, next));
          }
        }
      }
    }
  }
}
