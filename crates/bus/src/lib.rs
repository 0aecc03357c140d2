//! The one door to RabbitMQ: topology, confirmed publishing, consuming.
//!
//! What holds here: a publish that returned `Ok` is on the broker's disk; a
//! lost connection is rebuilt without anyone's help; a delivery's
//! acknowledgement never outlives its channel. Consumers see messages at least
//! once.
//!
//! Must not know: what an event means. Start reading at [`Bus`], then
//! `publisher` (how confirms stay truthful) and [`Subscription`].

mod bus;
mod connection;
mod consumer;
mod consuming;
mod delivery;
pub mod envelope;
mod error;
mod hints;
mod link;
mod message;
mod metrics;
mod probe;
mod publisher;
mod retry;
mod topology;
mod window;

pub use bus::{Bus, BusConfig};
pub use consumer::{Subscription, SubscriptionSpec};
pub use delivery::{Delivery, ack_all};
pub use error::PublishError;
pub use message::{Headers, Outgoing, Route};
pub use retry::{HoldBack, Verdict};
pub use topology::{Hint, Lane, ROUTER_QUEUES, Topology};
