//! Labels.

use roost_store::labels::StoredLabel;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// A label.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LabelView {
    id: String,
    name: String,
    color: String,
    version: i64,
    created_at: At,
}

impl From<StoredLabel> for LabelView {
    fn from(label: StoredLabel) -> Self {
        Self {
            id: label.id.to_string(),
            name: label.name,
            color: label.color,
            version: label.version,
            created_at: label.created_at.into(),
        }
    }
}

/// A label to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLabel {
    /// Unique in the brand, whatever the case.
    #[schema(min_length = 1, max_length = 100, example = "refund")]
    pub(crate) name: String,
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#2563eb")]
    pub(crate) color: String,
}

/// A change of a label; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelPatch {
    #[schema(min_length = 1, max_length = 100, example = "refund")]
    pub(crate) name: Option<String>,
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#2563eb")]
    pub(crate) color: Option<String>,
}
