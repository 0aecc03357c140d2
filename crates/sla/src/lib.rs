//! The clocks' worker: tells warnings and breaches at their instants and ends snoozes.
//!
//! What it is for: firing what is due by the database's time, each thing once, however many workers
//! there are. What it must not know: how due instants come about; that is `roost_domain::sla`, in
//! the transaction that starts a clock.
//!
//! Start reading at [`step::fire_due`], then [`run`] (when it looks).

mod aside;
mod error;
mod metrics;
mod run;
pub mod step;

pub use aside::Aside;
pub use metrics::SlaMetrics;
pub use run::{Deps, run};
