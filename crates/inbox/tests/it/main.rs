//! The inbox's step, and the whole role, against real services.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod aside;
mod echoes;
mod late;
mod messages;
mod order;
mod role;
mod support;
