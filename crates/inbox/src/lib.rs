//! The inbox: raw platform events become messages in conversations.
//!
//! What it is for: taking what the ingester made durable, a micro-batch at a time, and writing
//! contacts, conversations, messages, clocks and events in one transaction. What it must not know:
//! HTTP, and how a platform is spoken to.
//!
//! An event may come twice, late, or beside a neighbour that can't be handled. The unique key on
//! platform events absorbs the first, the fold of `roost_domain::conversation` the second, and
//! `clear` the third. Start reading at [`step`].

mod aside;
mod clear;
mod forward;
mod metrics;
mod partitions;
mod place;
mod read;
mod run;
mod signs;
pub mod step;
mod worker;

pub use metrics::InboxMetrics;
pub use run::{Deps, run};
