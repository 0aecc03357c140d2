//! The gateway over HTTP and WebSocket, on real PostgreSQL and Redis (and RabbitMQ for the stream).

mod account;
mod conversations;
mod customer;
mod feed;
mod harness;
mod input;
mod isolation;
mod members;
mod messages;
mod stream;
