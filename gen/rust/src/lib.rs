//! Generated gRPC stubs for [Secret Slots](https://github.com/secretslots/secretslots).
//!
//! Made by `gen/rust/generate` from `proto/secretslots/v1`; nothing here is written by hand. Messages that hold a
//! value or a token print it as `[secret]`.
#![forbid(unsafe_code)]

/// The package `secretslots.v1`.
#[rustfmt::skip]
#[allow(clippy::all)]
pub mod v1;
