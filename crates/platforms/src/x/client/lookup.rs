//! What was really sent, asked of X: the evidence for sends whose outcome is unknown.

use jiff::Timestamp;
use serde_json::Value;

use super::outcome::ApiError;
use super::{Auth, Call, XClient};
use crate::x::secrets::UserCredentials;
use crate::x::{snowflake, wire};

/// A message of a conversation as the look-up shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentDm {
    /// X's event id, in canonical decimal; the same as in webhooks.
    pub event_id: String,
    /// The same as a number.
    pub event_no: i64,
    /// X's id of the author: one of the two accounts.
    pub sender_id: String,
    /// The text as X returns it: links rewritten.
    pub text: String,
    /// X's time.
    pub created_at: Timestamp,
}

/// The newest messages of a conversation, and how far back they reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentDms {
    /// Newest first, of both accounts.
    pub messages: Vec<SentDm>,
    /// A message after this instant that isn't listed wasn't sent; `None` when this is all there is.
    pub complete_since: Option<Timestamp>,
}

impl XClient {
    /// The up to 100 newest messages between the account and `participant_id`.
    ///
    /// # Errors
    /// [`ApiError`]. An entry that can't be read is an error too: left out, it would count as proof
    /// that a message wasn't sent.
    pub async fn recent_dms(
        &self,
        user: &UserCredentials,
        participant_id: &str,
    ) -> Result<RecentDms, ApiError> {
        let participant = wire::parse_id(participant_id)
            .ok_or(ApiError::Unexpected("participant id"))?
            .to_string();
        let path = ["2", "dm_conversations", "with", &participant, "dm_events"];
        let call = Call {
            query: &[
                ("dm_event.fields", "id,text,event_type,created_at,sender_id"),
                ("event_types", "MessageCreate"),
                ("max_results", "100"),
            ],
            ..Call::get(&path, Auth::User(user))
        };
        let document = self.fetch_json(call).await?;
        read(&document)
    }
}

fn read(document: &Value) -> Result<RecentDms, ApiError> {
    let empty = Vec::new();
    let entries = match &document["data"] {
        Value::Array(entries) => entries,
        // X leaves `data` out when there is nothing; the count in `meta` tells that from an odd answer.
        Value::Null if document["meta"]["result_count"].as_u64() == Some(0) => &empty,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(ApiError::Unexpected("data"));
        }
    };
    let is_message = |entry: &&Value| {
        entry["event_type"]
            .as_str()
            .is_none_or(|kind| kind == "MessageCreate")
    };
    let messages = entries
        .iter()
        .filter(is_message)
        .map(message)
        .collect::<Result<Vec<SentDm>, ApiError>>()?;
    let has_more = document["meta"]["next_token"].is_string();
    let oldest = messages.iter().map(|message| message.created_at).min();
    Ok(RecentDms {
        complete_since: if has_more {
            Some(oldest.unwrap_or(Timestamp::MAX))
        } else {
            None
        },
        messages,
    })
}

fn message(entry: &Value) -> Result<SentDm, ApiError> {
    let id = |name: &'static str| {
        entry[name]
            .as_str()
            .and_then(wire::parse_id)
            .ok_or(ApiError::Unexpected(name))
    };
    let event_no = id("id")?;
    let told = entry["created_at"].as_str().and_then(|at| at.parse().ok());
    Ok(SentDm {
        event_id: event_no.to_string(),
        event_no,
        sender_id: id("sender_id")?.to_string(),
        // A message that is only an attachment has no text.
        text: entry["text"].as_str().unwrap_or_default().to_owned(),
        created_at: told.unwrap_or_else(|| snowflake::time_of(event_no)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_with_a_successor_is_complete_only_since_its_oldest_message() {
        let page = json!({
            "data": [
                {"id": "30", "event_type": "MessageCreate", "text": "b", "sender_id": "1", "created_at": "2026-01-02T00:00:00.000Z"},
                {"id": "20", "event_type": "ParticipantsJoin"},
                {"id": "10", "event_type": "MessageCreate", "text": "a", "sender_id": "2", "created_at": "2026-01-01T00:00:00.000Z"},
            ],
            "meta": {"result_count": 3, "next_token": "more"},
        });
        let recent = read(&page).unwrap();
        assert_eq!(
            recent
                .messages
                .iter()
                .map(|m| m.event_no)
                .collect::<Vec<_>>(),
            [30, 10]
        );
        assert_eq!(
            recent.complete_since,
            Some("2026-01-01T00:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn no_messages_is_an_answer_and_no_data_is_not() {
        let none = read(&json!({"meta": {"result_count": 0}})).unwrap();
        assert_eq!(
            none,
            RecentDms {
                messages: Vec::new(),
                complete_since: None
            }
        );
        assert!(read(&json!({})).is_err());
        assert!(read(&json!({"data": {}})).is_err());
    }

    #[test]
    fn an_unreadable_entry_is_never_left_out() {
        for entry in [
            json!({"id": "10", "text": "a"}),
            json!({"sender_id": "1"}),
            json!(null),
            json!("x"),
        ] {
            assert!(read(&json!({"data": [entry]})).is_err());
        }
    }
}
