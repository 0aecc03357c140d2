//! The gateway: REST API, sign-in and the live stream.
//!
//! What it is for: turning requests of members into transactions, and the log into what feed and
//! stream carry. What it must not know: how messages are routed, timed or sent; it writes what was
//! asked for and hints.
//!
//! Start reading at `routes` (every address), then `auth::Actor` (who may what), `problem` (how
//! things fail) and `stream` (how events reach an open page).

mod api;
mod app;
mod auth;
mod edge;
mod events;
mod input;
mod mail;
mod metrics;
mod openapi;
mod problem;
mod quotas;
mod reference;
mod routes;
pub mod seed;
mod server;
mod stream;
mod upkeep;
mod wire;
mod x_side;

pub use app::Deps;
pub use openapi::openapi_json;
pub use reference::reference;
pub use server::{run, serve};
