//! The live stream.
//!
//! [`Hub`] holds the open streams of this process. For each brand with one it reads the log by
//! position, once, and offers each event to the streams whose topics it meets. Whatever the broker
//! loses is read anyway: its pointers only wake the reader.

mod beat;
mod hub;
mod pump;
mod seat;
mod session;
mod topics;

pub(crate) use beat::keep_beating;
pub(crate) use hub::Hub;
pub(crate) use pump::{pump_ephemeral, pump_events};
pub(crate) use session::open;
