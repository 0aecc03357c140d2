//! The outside platforms that customers write on: how their webhooks are signed, what their events
//! mean, and how a reply is sent. Today that is X, and the sandbox, which is nowhere.
//!
//! This crate knows the wire and nothing else: no database, no broker, no brand, no conversation.
//! Whatever a platform sends, however odd, ends as a value here and never as a panic.
//!
//! Start with [`x::split`] (a POST becomes single events), then [`x::normalise`] (an event becomes a
//! message), then [`x::client`] (a reply goes out).

pub mod sandbox;
pub mod x;

pub use x::secrets::{AppSecrets, UserCredentials};
