//! A connection pool that follows its password: on a change a new pool is built and tried, then it takes over, then
//! the old one is closed. A password that does not work leaves the old pool in place.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Pool, PoolError, RecycleResult};
use secretslots::{SecretValue, Token, Version};

/// Stands in for a database driver's manager, such as that of `deadpool-postgres`.
struct Database {
    slot: u64,
    password: SecretValue,
}

/// Knows with which slot's password it logged in.
struct Connection {
    slot: u64,
}

impl Manager for Database {
    type Type = Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Connection> {
        if self.password.bytes().is_empty() {
            return Err(io::Error::other("login refused"));
        }
        Ok(Connection { slot: self.slot })
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<io::Error> {
        Ok(())
    }
}

async fn build(version: Version) -> Result<Pool<Database>, Box<dyn Error + Send + Sync>> {
    let database = Database { slot: version.slot(), password: version.value().clone() };
    let pool = Pool::builder(database).max_size(4).build()?;
    // One that can't log in is not published.
    drop(pool.get().await?);
    Ok(pool)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let token = Token::file(setting("SLOTS_TOKEN_FILE", "data/admin.token"));
    let set = secretslots::open(setting("SLOTS_ADDRESS", "127.0.0.1:50051"), token, ["app/db"]).await?;
    let close = |old: Arc<Pool<Database>>| async move {
        println!("closing the pool of slot {}", old.manager().slot);
        old.close();
    };
    let pool = set.handle("app/db")?.derived(build, close).await?;
    loop {
        match pool.get().get().await {
            Ok(connection) => println!("queried with the password of slot {}", connection.slot),
            // It was swapped just now: the next one is there already.
            Err(PoolError::Closed) => continue,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
