//! Instants: RFC 3339 in UTC with milliseconds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An instant on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Timestamp);

impl At {
    /// The text form.
    pub(crate) fn text(self) -> String {
        format!("{:.3}", self.0)
    }
}

impl From<Timestamp> for At {
    fn from(instant: Timestamp) -> Self {
        Self(instant)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.text())
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for At {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Instant")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_exactly_three_decimals() {
        for (from, to) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
            ("2026-01-31T12:00:00.123987Z", "2026-01-31T12:00:00.123Z"),
        ] {
            assert_eq!(At(from.parse().unwrap()).text(), to);
        }
    }
}
