//! Who asks, and whether they may.

mod actor;
pub(crate) mod cookies;
pub(crate) mod limits;
pub(crate) mod origin;
mod passwords;
pub(crate) mod refresh;
mod sessions;
mod tokens;

pub(crate) use actor::{Actor, Administer, Read, Reply, request_id};
pub(crate) use passwords::Passwords;
pub(crate) use sessions::Sessions;
pub(crate) use tokens::{ACCESS_TOKEN_SECONDS, Tokens};
