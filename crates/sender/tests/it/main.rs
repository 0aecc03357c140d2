//! The sender against real PostgreSQL and a platform that answers as told.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod acts;
mod apps;
mod doubt;
mod order;
mod platform;
mod refusals;
mod role;
mod strays;
mod support;
