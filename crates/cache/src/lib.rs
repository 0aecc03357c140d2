//! The one door to Redis: rate limits and ephemeral fan-out (typing, viewing).
//!
//! What holds here: losing Redis degrades and loses nothing. No call waits
//! longer than a quarter of a second, and none at all while Redis is known to
//! be away.
//!
//! Must not know: anything that must survive. Start reading at [`Cache`].

mod cache;
mod ephemeral;
mod gcra;
mod limit;
mod metrics;

pub use cache::{Cache, CacheError};
pub use ephemeral::{Ephemeral, EphemeralStream};
pub use limit::{Decision, RateLimit, Source};
