//! The simulator over HTTP, as a client and as a webhook see it.

#![expect(
    clippy::expect_used,
    reason = "a test that can't go on fails where it stands"
)]

mod bad_days;
mod clients;
mod delivery;
mod dms;
mod mailbox;
mod oauth;
mod play;
mod support;
mod webhooks;
