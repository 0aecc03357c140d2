//! Lines of the audit log.

use roost_domain::ids::AuditId;
use roost_store::audit::Line;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::At;

/// A line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLineView {
    id: String,
    /// 1, 2, 3 … in the brand.
    seq: i64,
    at: At,
    actor: AuditActor,
    /// Such as `member.changed`.
    #[schema(example = "api_key.created")]
    action: String,
    target: AuditTarget,
    /// The changed fields as they were; personal values as digests.
    before: Option<Value>,
    /// The changed fields as they became.
    after: Option<Value>,
    /// From which address.
    address: Option<String>,
    request_id: Option<String>,
    /// Covers this line and, by the hash of the one before, all before it. In hexadecimal.
    hash: String,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditActor {
    /// `member`, `bot` (an API key) or `system`.
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
}

/// What it was done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditTarget {
    #[serde(rename = "type")]
    kind: String,
    /// None for the brand itself.
    id: Option<String>,
}

/// Kinds of things in the log, and the prefix of their ids.
const PREFIXES: [(&str, &str); 19] = [
    ("api_key", "key"),
    ("attribute_definition", "attr"),
    ("calendar", "cal"),
    ("canned_reply", "can"),
    ("channel", "chan"),
    ("contact", "cont"),
    ("contact_merge", "mrg"),
    ("conversation", "conv"),
    ("invitation", "inv"),
    ("label", "lbl"),
    ("member", "mem"),
    ("saved_filter", "flt"),
    ("session", "ses"),
    ("skill", "skl"),
    ("sla_excuse", "exc"),
    ("sla_policy", "pol"),
    ("team", "team"),
    ("user", "usr"),
    ("x_app", "xapp"),
];

/// The public id of a thing in the log; the bare one where its kind has none.
fn public_id(kind: &str, id: Uuid) -> String {
    let prefix = PREFIXES.iter().find(|(name, _)| *name == kind);
    match prefix {
        // Only the prefix differs between kinds.
        Some((_, prefix)) => AuditId(id).to_string().replacen(AuditId::PREFIX, prefix, 1),
        None => id.to_string(),
    }
}

/// The bare id in a public one, of whatever kind.
pub(crate) fn bare_id(text: &str) -> Option<Uuid> {
    let (prefix, rest) = text.split_once('_')?;
    let is_known = PREFIXES.iter().any(|(_, known)| *known == prefix);
    let id: AuditId = format!("{}_{rest}", AuditId::PREFIX).parse().ok()?;
    is_known.then_some(id.0)
}

impl From<Line> for AuditLineView {
    fn from(line: Line) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: AuditId(line.id).to_string(),
            seq: line.seq,
            at: line.at.get().into(),
            actor: AuditActor {
                id: line.actor_id.map(|id| public_id("member", id)),
                kind: line.actor_type,
            },
            action: line.action,
            target: AuditTarget {
                id: line.target_id.map(|id| public_id(&line.target_type, id)),
                kind: line.target_type,
            },
            before: json(line.before),
            after: json(line.after),
            address: line.address,
            request_id: line.request_id,
            hash: line.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_domain::ids::{ApiKeyId, MemberId};

    #[test]
    fn ids_are_shown_as_everywhere_and_read_back() {
        let id = Uuid::now_v7();
        assert_eq!(public_id("api_key", id), ApiKeyId(id).to_string());
        assert_eq!(public_id("unheard_of", id), id.to_string());
        assert_eq!(bare_id(&MemberId(id).to_string()), Some(id));
        for bad in ["", "mem", "mem_", "what_01h455vb4pex5vsknk084sn02q"] {
            assert_eq!(bare_id(bad), None, "{bad}");
        }
    }
}
