//! The inbox's step against a real database, as the real role.

mod echoes;
mod messages;
mod order;
mod support;
