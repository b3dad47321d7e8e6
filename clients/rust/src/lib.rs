#![doc = include_str!("../README.md")]

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
