//! Who asks, and whether they may.

mod access;
mod actor;
pub(crate) mod address;
pub(crate) mod cookies;
mod fresh;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod origin;
mod passwords;
pub(crate) mod place;
pub(crate) mod refresh;
mod sessions;
mod tokens;
pub(crate) mod totp;
pub(crate) mod trail;
mod write;

pub(crate) use access::{Access, admit};
pub(crate) use actor::{Actor, Identity, Person, Who, request_id};
pub(crate) use fresh::Fresh;
pub(crate) use keys::Keys;
pub(crate) use passwords::{Passwords, check_new};
pub(crate) use sessions::Sessions;
pub(crate) use tokens::{ACCESS_TOKEN_SECONDS, Tokens};
pub(crate) use write::{Answer, BodyHash};
