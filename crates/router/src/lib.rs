//! The router: who takes which conversation.
//!
//! What it is for: giving waiting conversations to agents who are online and have room, by the pure
//! decision of `roost_domain::routing`, and telling those who wait why. What it must not know: how a
//! conversation came to wait, or what is said in it.
//!
//! Any number of routers work side by side: a team is routed under its lock. Start reading at
//! [`step::route_team`], then [`run`] (what makes a team due).

mod consume;
mod desk;
mod error;
mod metrics;
mod run;
pub mod step;
mod sweep;

pub use metrics::RouterMetrics;
pub use run::{Deps, run};
