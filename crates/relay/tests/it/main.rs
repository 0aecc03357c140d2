//! The relay against real PostgreSQL and RabbitMQ.

mod fencing;
mod killing;
mod log_order;
mod sharing;
mod support;
