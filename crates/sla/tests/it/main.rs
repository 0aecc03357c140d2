//! The clocks' worker against real PostgreSQL and RabbitMQ.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod clocks;
mod policies;
mod role;
mod snoozes;
mod support;
