//! What every Roost process shares: configuration, logs, metrics, health,
//! shutdown and supervised tasks.
//!
//! Must not know: brands, conversations, or any outside system. Adapters and
//! roles build on this crate, never the other way round.
//! Start reading at [`config`] for what can be set and at [`supervise`] for
//! how a process runs and stops.

pub mod backoff;
pub mod config;
pub mod health;
pub mod http;
pub mod metrics;
pub mod ops;
pub mod request_id;
pub mod shutdown;
pub mod supervise;
pub mod telemetry;

pub use backoff::Backoff;
pub use config::{Config, ConfigFaults};
pub use health::Health;
pub use metrics::Metrics;
pub use request_id::RequestId;
pub use shutdown::Shutdown;
pub use supervise::Supervisor;
