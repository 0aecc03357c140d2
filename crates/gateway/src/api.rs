//! The handlers, by resource.

pub(crate) mod account;
pub(crate) mod assignment;
pub(crate) mod attributes;
pub(crate) mod brand;
pub(crate) mod canned_replies;
pub(crate) mod channels;
pub(crate) mod connect;
pub(crate) mod contact_acts;
pub(crate) mod contact_merges;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod docs;
pub(crate) mod feed;
pub(crate) mod labels;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod sessions;
pub(crate) mod signs;
pub(crate) mod teams;
pub(crate) mod timeline;
