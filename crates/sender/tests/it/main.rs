//! The sender against real PostgreSQL and a platform that answers as told.

mod acts;
mod doubt;
mod order;
mod platform;
mod refusals;
mod role;
mod support;
