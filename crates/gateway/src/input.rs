//! Reading requests: every failure is a [`Problem`](crate::problem::Problem) with a pointer.

mod body;
mod checks;
mod if_match;
mod path;
mod query;

pub(crate) use body::{Body, OptionalBody};
pub(crate) use checks::{Checks, maybe};
pub(crate) use if_match::read_if_match;
pub(crate) use path::Id;
pub(crate) use query::Query;

/// Longest JSON body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;
