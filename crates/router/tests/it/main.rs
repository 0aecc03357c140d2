//! The router against real PostgreSQL and RabbitMQ.

mod by_hand;
mod presence;
mod queue;
mod racing;
mod role;
mod support;
