//! The inbox's step against a real database, as the real role.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod echoes;
mod late;
mod messages;
mod order;
mod support;
