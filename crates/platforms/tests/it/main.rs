//! The crate from outside: calls over real sockets, and documents that nobody would send.

#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails should fail its test"
)]

mod calls;
mod odd_documents;
mod sends;
mod server;
