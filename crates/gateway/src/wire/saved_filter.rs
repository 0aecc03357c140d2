//! Saved filters.

use roost_store::saved_filters::SavedFilter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::At;

/// A filter of conversations under a name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedFilterView {
    id: String,
    name: String,
    /// Whether everybody in the brand has it.
    shared: bool,
    /// Parameters of the list of conversations.
    #[schema(value_type = Object)]
    filter: Value,
    /// The list's order.
    sort: String,
    version: i64,
    created_at: At,
    updated_at: At,
}

impl From<SavedFilter> for SavedFilterView {
    fn from(row: SavedFilter) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            shared: row.member.is_none(),
            filter: row.filter,
            sort: row.sort,
            version: row.version,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// A filter to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSavedFilter {
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "Refunds of gold customers"
    )]
    pub(crate) name: String,
    /// Whether everybody in the brand has it.
    #[serde(default)]
    pub(crate) shared: bool,
    /// Parameters of the list of conversations: a name to a value or a list of values.
    #[schema(value_type = Object, example = json!({ "status": ["open", "pending"], "q": "refund" }))]
    pub(crate) filter: Map<String, Value>,
    /// The list's order; `-last_message_at` if left out.
    #[serde(default)]
    #[schema(example = "waiting_since")]
    pub(crate) sort: Option<String>,
}

/// A change of a saved filter; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedFilterPatch {
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: Option<String>,
    /// Replaces the whole filter.
    #[schema(value_type = Option<Object>)]
    pub(crate) filter: Option<Map<String, Value>>,
    pub(crate) sort: Option<String>,
}
