//! The id that follows one message from webhook to reply.

use std::fmt;

/// Longest request id taken from outside.
const MAX_LEN: usize = 64;

/// An opaque id for logs and message headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Name of the HTTP header that carries it, both ways.
    pub const HEADER: &'static str = "x-request-id";

    /// A new one, unique and ordered by time.
    #[must_use]
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string())
    }

    /// The caller's id where it is short and plain, else a new one: it goes
    /// into logs and headers, so nothing may be smuggled in it.
    #[must_use]
    pub fn accept(inbound: Option<&str>) -> Self {
        match inbound {
            Some(id) if is_sane(id) => Self(id.to_owned()),
            Some(_) | None => Self::new(),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

fn is_sane(id: &str) -> bool {
    (8..=MAX_LEN).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_ids_are_kept_and_others_replaced() {
        assert_eq!(
            RequestId::accept(Some("req-12345678")).as_str(),
            "req-12345678"
        );
        for bad in [
            "",
            "short",
            "has space in it",
            "line\nbreak-12",
            &"x".repeat(65),
        ] {
            assert_ne!(RequestId::accept(Some(bad)).as_str(), bad);
        }
        assert_eq!(RequestId::accept(None).as_str().len(), 32);
    }
}
