//! The rules of Roost, and nothing else.
//!
//! Everything here is a function of its arguments, the clock included: no I/O, no randomness, no
//! environment. That is what lets a property test run a rule by the million.
//!
//! What it must not know: databases, brokers, HTTP, and what time it is.
//!
//! Start reading at [`conversation`] (what a message or an act does to a conversation), then [`sla`]
//! (response clocks), [`routing`] (who takes what) and [`ids`] (how things are named outside).

pub mod bucket;
pub mod conversation;
pub mod event;
pub mod fair;
pub mod ids;
pub mod preview;
pub mod role;
pub mod routing;
pub mod sla;
pub mod template;
pub mod terms;
pub mod text;
