//! Five lines: open, a handle, its current value, the value effective at a number, and every change from now on.

use secretslots::{Result, Set, Token};

async fn follow(address: String, token: Token) -> Result<Set> {
    let set = secretslots::open(address, token, ["app/db"]).await?;
    let password = set.handle("app/db")?;
    println!("current: slot {}", password.current()?.slot());
    println!("effective at 3: slot {}", password.effective_at(3)?.slot());
    password.on_change(|change| println!("changed: {:?}", change.current.slots().last()));
    Ok(set)
}

#[tokio::main]
async fn main() -> Result<()> {
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let token = Token::file(setting("SLOTS_TOKEN_FILE", "data/admin.token"));
    let _following = follow(setting("SLOTS_ADDRESS", "127.0.0.1:50051"), token).await?;
    std::future::pending().await
}
