//! Reading requests: every failure is a [`Problem`](crate::problem::Problem) with a pointer.

mod body;
mod checks;
mod if_match;
mod merge;
mod path;
mod query;
mod text_file;

pub(crate) use body::{Body, OptionalBody, escape};
pub(crate) use checks::{Checks, maybe};
pub(crate) use if_match::if_match;
pub(crate) use merge::{merged, patch_schema};
pub(crate) use path::Id;
pub(crate) use query::Query;
pub(crate) use text_file::{FileKind, TextFile};

/// Longest JSON body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024;
