//! A stand-in for X (Twitter) as far as Direct Messages go: it speaks the published protocol, so
//! that Roost can be developed, tested and shown without the platform.
//!
//! It serves OAuth 1.0a (three legs, every signature verified), webhooks with CRC challenges and
//! replays, Account Activity and X Activity subscriptions, signed deliveries with retries, DMs by
//! v1.1 and v2 with rate limits and errors, and what the platform does on bad days. A person plays
//! the customer at `/` (the phone), looks on at `/overview`, reads Roost's mails at `/mailbox`; tests pull the strings at `/sim/…`
//! (see `README.md`).
//!
//! **What it must not know:** any crate of Roost. It reads the platform's documentation for
//! itself and writes its own wire types; a stand-in that shared Roost's parser would agree with
//! its mistakes.
//!
//! **Where to start:** `server` has every route's origin; `dms::send` is the way of a message out
//! of an app, `delivery` the way of an event to a webhook, `faults` what may go wrong on both.

mod accounts;
mod admin;
mod call;
mod config;
mod crc;
mod delivery;
mod demo;
mod dms;
mod error;
mod faults;
mod feed;
mod ids;
mod limits;
mod mailbox;
mod media;
mod oauth;
mod pages;
mod png;
mod random;
mod reset;
mod script;
mod server;
mod state;
mod subscriptions;
mod text;
mod users;
mod webhooks;

pub use accounts::AccountSpec;
pub use config::{Escape, SimConfig};
pub use ids::{AccountId, BadId};
pub use limits::LimitMode;
pub use script::{Play, play};
pub use server::{Simulator, start};
