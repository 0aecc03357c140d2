//! Mails: written with their cause, sealed, and sent by a task of this process.
//!
//! All of them are plain text, from us, about the recipient's own account. What people call
//! themselves or their brand goes in without anything that a mail program would turn into a link.

mod letters;
mod outbox;

pub(crate) use letters::Letter;
pub(crate) use outbox::send_queued;
