//! What goes over the wire, by resource.

pub(crate) mod api_key;
pub(crate) mod assignment;
pub(crate) mod attribute;
pub(crate) mod audit;
pub(crate) mod brand;
pub(crate) mod calendar;
pub(crate) mod canned_reply;
pub(crate) mod capabilities;
pub(crate) mod channel;
pub(crate) mod clock;
pub(crate) mod contact;
pub(crate) mod conversation;
pub(crate) mod event;
pub(crate) mod invitation;
pub(crate) mod label;
pub(crate) mod list;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod report;
pub(crate) mod saved_filter;
pub(crate) mod skill;
pub(crate) mod sla_excuse;
pub(crate) mod sla_policy;
pub(crate) mod team;
mod time;
pub(crate) mod usage;
pub(crate) mod x_app;

pub(crate) use time::At;
