//! The frames that aren't events.

use roost_domain::ids::MemberId;
use serde::Deserialize;
use serde_json::json;

/// What a client says.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Who it is and what it wants.
    Auth(Auth),
    /// The person is there.
    Active,
}

/// The first frame; also sent again with a newer token or other topics.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    #[expect(dead_code, reason = "was looked at before; the field has to be known")]
    r#type: String,
    /// An access token or an API key.
    pub(super) token: String,
    /// The cursor of the last event seen.
    #[serde(default)]
    pub(super) after: Option<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

impl Incoming {
    /// Reads a frame; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let kind: Kind = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match kind.r#type.as_str() {
            "auth" => serde_json::from_str(text)
                .map(Self::Auth)
                .map_err(|error| error.to_string()),
            "active" => Ok(Self::Active),
            _ => Err("unknown type of frame".to_owned()),
        }
    }
}

/// The sign-in was taken; the cursor is where the stream begins.
pub(super) fn ready(member: MemberId, cursor: Option<String>) -> String {
    json!({ "type": "ready", "member_id": member, "cursor": cursor }).to_string()
}

/// Too much was missed: read anew, the stream goes on behind this cursor.
pub(super) fn resync(cursor: &str) -> String {
    json!({ "type": "resync", "cursor": cursor }).to_string()
}

/// Too slow: read anew, and open the stream again.
pub(super) fn resync_all() -> String {
    json!({ "type": "resync", "cursor": null }).to_string()
}

/// A frame that makes no sense.
pub(super) fn error(code: &str, detail: &str) -> String {
    json!({ "type": "error", "code": code, "detail": detail }).to_string()
}
