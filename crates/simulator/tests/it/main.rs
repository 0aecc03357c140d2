//! The simulator over HTTP, as a client and as a webhook see it.

mod bad_days;
mod clients;
mod delivery;
mod dms;
mod oauth;
mod play;
mod support;
mod webhooks;
