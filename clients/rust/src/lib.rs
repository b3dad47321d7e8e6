//! The client of Secret Slots, a self-hosted secrets service whose secrets rotate under running programs.
//!
//! A [`Handle`] always holds the newest value of one secret: reading it is one atomic load, and it goes on answering
//! while the server is away.
//!
//! ```no_run
//! # async fn five() -> secretslots::Result<()> {
//! let set = secretslots::open("127.0.0.1:50051", secretslots::Token::file("data/admin.token"), ["app/db"]).await?;
//! let password = set.handle("app/db")?;
//! println!("current slot: {}", password.current()?.slot());
//! println!("effective at 3: slot {}", password.effective_at(3)?.slot());
//! password.on_change(|change| println!("rotated: {:?}", change.current));
//! # Ok(())
//! # }
//! ```
//!
//! Values redact themselves: [`SecretValue`] prints `[secret]`, and so does everything that holds one. The bytes of a
//! value are overwritten when its last clone is dropped; copies in the buffers of gRPC and TLS are not.

mod address;
mod backoff;
mod cache;
mod cache_writer;
mod changes;
mod checksum;
mod client;
mod connection;
mod derived;
mod error;
mod fake;
mod follower;
mod handle;
mod machine;
mod name;
mod open;
mod options;
mod pages;
mod random;
mod requests;
mod set;
mod shared;
mod state;
mod token;
mod unary;
mod value;

pub use changes::{Change, Changes, Subscription};
pub use client::{Client, open};
pub use derived::Derived;
pub use error::{Code, Error, Result, reason};
pub use fake::{Fake, FakeSlots};
pub use handle::Handle;
pub use name::MAX_NUMBER;
pub use options::{ConnectOptions, OpenOptions, Tls, View};
pub use pages::Pages;
pub use requests::{Mutation, PutSlot, Update};
/// The generated messages, which the calls for metadata answer with.
pub use secretslots_stubs::v1;
pub use set::Set;
pub use state::{AbsentReason, Content, Slot, State, Version};
pub use token::Token;
pub use value::SecretValue;
