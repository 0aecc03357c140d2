//! Secrets at rest: what the database holds, where it opens, and how keys are rotated.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

mod at_rest;
mod rotation;
mod support;
