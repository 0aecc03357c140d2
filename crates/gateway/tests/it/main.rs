//! The gateway over HTTP and WebSocket, on real PostgreSQL and Redis (and RabbitMQ for the stream).
//!
//! Every test has worker threads beside its own: a database is dropped by a thread that the test
//! waits for, and a gateway that is just connecting to it must get on meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy.toml allows them inside test functions only, and helpers are no test functions"
)]

mod account;
mod connect;
mod conversations;
mod customer;
mod feed;
mod harness;
mod input;
mod invitations;
mod isolation;
mod mail_sending;
mod mailbox;
mod members;
mod messages;
mod own_sessions;
mod resets;
mod sign_in;
mod stream;
mod two_factor;
