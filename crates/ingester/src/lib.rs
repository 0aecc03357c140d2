//! Webhooks in: verify, split, make durable, answer.
//!
//! What holds here: a 200 means that every event of the POST is on disk, in the
//! broker or in the spool table. The hot path looks nothing up beyond secrets
//! kept in memory, so it works without a database, and without a broker.
//!
//! Must not know: brands, conversations, what an event means. Start reading at
//! `routes`, then `accept`.

mod accept;
mod apps;
mod body;
mod crc;
mod lanes;
mod metrics;
mod role;
mod routes;
mod spool;

pub use role::{Deps, IngesterConfig, run, serve};
