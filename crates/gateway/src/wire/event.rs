//! Lines of the log, as feed and stream carry them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roost_domain::ids::{BrandId, ContactId, MemberId};
use roost_store::events::StoredEvent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::At;
use crate::problem::{Code, Problem};

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EventView {
    id: String,
    /// Such as `message.received`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The version of this shape.
    schema: u8,
    /// Where feed and stream go on after it; none until it has its place in the log.
    pub(crate) cursor: Option<String>,
    occurred_at: At,
    brand_id: String,
    conversation_id: Option<String>,
    /// Counts 1, 2, 3 … in a conversation without gaps.
    seq: Option<i64>,
    actor: ActorView,
    request_id: Option<String>,
    client_ref: Option<String>,
    /// The resource after the change, and `changed`: field to [before, after].
    #[schema(value_type = Object)]
    pub(crate) data: Value,
}

/// Who did it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ActorView {
    /// `contact`, `member`, `external` or `system`.
    r#type: String,
    id: Option<String>,
}

impl EventView {
    pub(crate) fn new(brand: BrandId, event: &StoredEvent, data: Value) -> Self {
        Self {
            id: event.id.to_string(),
            kind: event.kind.clone(),
            schema: 1,
            cursor: event.position.map(|position| write_cursor(brand, position)),
            occurred_at: event.occurred_at.into(),
            brand_id: brand.to_string(),
            conversation_id: event.conversation.map(|id| id.to_string()),
            seq: event.seq,
            actor: ActorView {
                r#type: event.actor_type.clone(),
                id: event.actor_id.map(|id| actor_id(&event.actor_type, id)),
            },
            request_id: event.request_id.clone(),
            client_ref: event.client_ref.clone(),
            data,
        }
    }
}

fn actor_id(kind: &str, id: Uuid) -> String {
    match kind {
        "contact" => ContactId(id).to_string(),
        _ => MemberId(id).to_string(),
    }
}

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedPage {
    pub(crate) data: Vec<EventView>,
    /// Where the feed goes on; always there.
    pub(crate) next_cursor: String,
}

/// A place in a brand's log: version, the brand's last four bytes, the position.
pub(crate) fn write_cursor(brand: BrandId, position: i64) -> String {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&brand.0.as_bytes()[12..]);
    bytes.extend_from_slice(&position.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor of this brand's log.
pub(crate) fn read_cursor(brand: BrandId, cursor: &str) -> Result<i64, Problem> {
    let invalid = || Problem::new(Code::InvalidCursor);
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let (&version, rest) = bytes.split_first().ok_or_else(invalid)?;
    let (of, position) = rest.split_at_checked(4).ok_or_else(invalid)?;
    let position: [u8; 8] = position.try_into().map_err(|_| invalid())?;
    if version != 1 {
        return Err(invalid());
    }
    if of != &brand.0.as_bytes()[12..] {
        return Err(Problem::new(Code::CursorMismatch));
    }
    Ok(i64::from_be_bytes(position).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_brand_is_refused() {
        let (a, b) = (BrandId(Uuid::now_v7()), BrandId(Uuid::new_v4()));
        let cursor = write_cursor(a, 77);
        assert_eq!(read_cursor(a, &cursor).unwrap(), 77);
        assert_eq!(
            read_cursor(b, &cursor).unwrap_err().code(),
            Code::CursorMismatch
        );
        for bad in ["", "oldes", "AQ", &cursor[2..]] {
            assert_eq!(read_cursor(a, bad).unwrap_err().code(), Code::InvalidCursor);
        }
    }
}
