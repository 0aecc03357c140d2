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
mod channels;
mod connect;
mod conversations;
mod customer;
mod feed;
mod harness;
mod input;
mod isolation;
mod members;
mod messages;
mod sandbox;
mod stream;
mod x_apps;
