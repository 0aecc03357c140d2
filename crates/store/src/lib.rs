//! PostgreSQL: the one door to it.
//!
//! What it is for: transactions that can't be left open, tenant scope, and one file of statements for
//! each aggregate. What it must not know: HTTP, brokers, platforms' wire formats.
//!
//! Start reading at [`tx`] (how a transaction is made), then [`ledger`] (how a conversation changes).

pub mod accounts;
pub mod api_keys;
pub mod assignments;
pub mod attributes;
pub mod audit;
pub mod bootstrap;
pub mod brands;
pub mod budgets;
pub mod calendars;
pub mod canned_replies;
mod changed;
pub mod channels;
pub mod contacts;
pub mod conversation_acts;
pub mod conversation_clocks;
pub mod conversation_start;
pub mod conversations;
mod cross;
pub mod dead;
mod deleted;
pub mod erasure;
mod error;
pub mod events;
pub mod gateways;
pub mod idempotency;
pub mod inbound;
pub mod invitations;
pub mod labels;
pub mod leases;
pub mod ledger;
pub mod mails;
pub mod members;
pub mod merges;
pub mod messages;
pub mod migrate;
pub mod outbound;
pub mod presence;
pub mod raw;
pub mod routes;
pub mod routing;
pub mod saved_filters;
pub mod seal;
pub mod search;
pub mod sequencer;
pub mod settle;
pub mod signs;
pub mod skills;
pub mod sla_excuses;
pub mod sla_policies;
pub mod sla_reports;
pub mod sla_verify;
mod spec_versions;
pub mod spool;
pub mod teams;
pub mod timers;
mod ts;
pub mod tx;
pub mod usage;
pub mod visibility;
pub mod x_apps;

pub use changed::Changed;
pub use deleted::Deleted;
pub use error::{StoreError, on_constraint};
pub use spec_versions::SpecVersion;
pub use ts::Ts;
pub use tx::{BrandTx, IngestTx, Store, StoreConfig, SystemTx};
