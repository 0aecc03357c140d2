//! The clocks' worker against real PostgreSQL and RabbitMQ.

mod clocks;
mod role;
mod snoozes;
mod support;
