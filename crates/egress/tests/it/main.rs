//! What is called and what isn't, and how a call ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod calls;
mod receiver;
mod tls;
mod urls;
