//! What goes over the wire, by resource.

pub(crate) mod assignment;
pub(crate) mod brand;
pub(crate) mod channel;
pub(crate) mod clock;
pub(crate) mod conversation;
pub(crate) mod event;
pub(crate) mod invitation;
pub(crate) mod list;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod team;
mod time;

pub(crate) use time::At;
