//! The handlers, by resource.

pub(crate) mod account;
pub(crate) mod assignment;
pub(crate) mod brand;
pub(crate) mod channels;
pub(crate) mod connect;
pub(crate) mod conversations;
pub(crate) mod docs;
pub(crate) mod feed;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod own_proof;
pub(crate) mod own_sessions;
pub(crate) mod sessions;
pub(crate) mod signs;
pub(crate) mod teams;
pub(crate) mod timeline;
pub(crate) mod verifications;
