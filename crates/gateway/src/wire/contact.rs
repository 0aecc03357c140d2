//! Contacts and their merges.

use std::collections::BTreeMap;

use roost_store::contacts::{ContactDetail, StoredIdentity};
use roost_store::merges::StoredMerge;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::At;
use crate::input::maybe;

/// A contact with their accounts and attributes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactDetailView {
    id: String,
    name: String,
    /// Without `@`.
    handle: Option<String>,
    avatar_url: Option<String>,
    /// The brand's own name for them.
    external_id: Option<String>,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Oldest first; none once the contact was merged into another.
    identities: Vec<IdentityView>,
    /// Whose conversations and identities theirs are now.
    merged_into_id: Option<String>,
    /// Since when their messages do nothing.
    blocked_at: Option<At>,
    /// How many messages came while they were blocked.
    blocked_messages: i64,
    /// When everything personal about them was blanked.
    erased_at: Option<At>,
    version: i64,
    created_at: At,
    updated_at: At,
}

/// An account of a contact.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IdentityView {
    id: String,
    /// Such as `x`.
    platform: String,
    /// The platform's id of the account.
    platform_user_id: String,
    name: String,
    /// Without `@`.
    handle: Option<String>,
    created_at: At,
}

impl From<StoredIdentity> for IdentityView {
    fn from(identity: StoredIdentity) -> Self {
        Self {
            id: identity.id.to_string(),
            platform: identity.platform,
            platform_user_id: identity.external_id,
            name: identity.name,
            handle: identity.handle,
            created_at: identity.created_at.into(),
        }
    }
}

impl From<ContactDetail> for ContactDetailView {
    fn from(contact: ContactDetail) -> Self {
        Self {
            id: contact.id.to_string(),
            name: contact.name,
            handle: contact.handle,
            avatar_url: contact.avatar_url,
            external_id: contact.external_id,
            attributes: contact.attributes,
            identities: contact.identities.into_iter().map(Into::into).collect(),
            merged_into_id: contact.merged_into.map(|id| id.to_string()),
            blocked_at: contact.blocked_at.map(At),
            blocked_messages: contact.blocked_count,
            erased_at: contact.erased_at.map(At),
            version: contact.version,
            created_at: contact.created_at.into(),
            updated_at: contact.updated_at.into(),
        }
    }
}

/// A change of a contact; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactPatch {
    /// What to call them, whatever the platform calls them from now on.
    #[schema(min_length = 1, max_length = 200, example = "Ana Lima")]
    pub(crate) name: Option<String>,
    /// The brand's own name for them, unique; null takes it away.
    #[serde(default, deserialize_with = "maybe")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = "crm-4711")]
    pub(crate) external_id: Option<Option<String>>,
    /// Values by the keys of their definitions; null takes one away.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "plan": "pro" }))]
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// Two contacts that are one person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateContactMerge {
    /// Who gets the other's accounts and conversations.
    #[schema(example = "cont_01h455vb4pex5vsknk084sn02q")]
    pub(crate) survivor_id: String,
    #[schema(example = "cont_01h455vb4pex5vsknk084sn02r")]
    pub(crate) merged_id: String,
}

/// A merge of two contacts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactMergeView {
    id: String,
    survivor_id: String,
    merged_id: String,
    /// How many conversations moved.
    conversations: i32,
    merged_by_id: Option<String>,
    created_at: At,
    undone_at: Option<At>,
}

impl From<StoredMerge> for ContactMergeView {
    fn from(merge: StoredMerge) -> Self {
        Self {
            id: merge.id.to_string(),
            survivor_id: merge.survivor.to_string(),
            merged_id: merge.merged.to_string(),
            conversations: merge.conversations,
            merged_by_id: merge.merged_by.map(|id| id.to_string()),
            created_at: merge.created_at.into(),
            undone_at: merge.undone_at.map(At),
        }
    }
}
