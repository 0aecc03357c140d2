//! The router against real PostgreSQL and RabbitMQ.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod by_hand;
mod presence;
mod queue;
mod racing;
mod role;
mod support;
