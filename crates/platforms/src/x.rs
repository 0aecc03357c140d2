//! X (Twitter): Account Activity and X Activity webhooks in, direct messages out.
//!
//! Wire facts come from X's public documentation (`docs.x.com`) unless a comment names another source.

pub mod client;
pub mod crc;
pub mod fingerprint;
pub mod normalise;
pub mod oauth1;
pub mod sanitise;
pub mod secrets;
pub mod signature;
pub mod snowflake;
pub mod split;
pub mod webhooks;
mod wire;
