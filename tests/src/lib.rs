//! What tests share: real databases, brands to work with, a whole running system to drive, and
//! waiting for a condition.
//!
//! Every test has a database of its own, copied from a migrated template, and connects as the roles
//! that the services connect as: row-level security is part of what is tested. Start reading at
//! [`system::System`] for tests of the whole, at [`db::TestDb`] for tests of one part.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that can't go on fails where it stands"
)]

pub mod api;
pub mod broker;
pub mod bulk;
pub mod conversations;
pub mod db;
pub mod platform;
pub mod process;
pub mod services;
pub mod stream;
pub mod system;
pub mod wait;
pub mod webhook;
