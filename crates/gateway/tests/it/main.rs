//! The gateway over HTTP and WebSocket, on real PostgreSQL and Redis (and RabbitMQ for the stream).
//!
//! Every test has worker threads beside its own: a database is dropped by a thread that the test
//! waits for, and a gateway that is just connecting to it must get on meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy.toml allows them inside test functions only, and helpers are no test functions"
)]

mod account;
mod api_keys;
mod audit;
mod calendars;
mod canned_replies;
mod changes;
mod channels;
mod connect;
mod contact_merges;
mod contacts;
mod conversations;
mod customer;
mod document;
mod erasure;
mod feed;
mod harness;
mod idempotency;
mod input;
mod invitations;
mod isolation;
mod labels;
mod limits;
mod mail_sending;
mod mailbox;
mod members;
mod messages;
mod own_sessions;
mod paging;
mod permissions;
mod report_count;
mod report_seed;
mod reports;
mod resets;
mod sandbox;
mod search;
mod settings;
mod sign_in;
mod sla_clocks;
mod sla_excuses;
mod sla_policies;
mod sla_policy_list;
mod start;
mod stream;
mod two_factor;
mod undo;
mod usage;
mod visibility;
mod walk;
mod x_apps;
