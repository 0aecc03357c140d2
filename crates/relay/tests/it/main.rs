//! The relay against real PostgreSQL and RabbitMQ.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod fencing;
mod killing;
mod log_order;
mod sharing;
mod support;
