//! Definitions of custom attributes.

use roost_store::attributes::Definition;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// What an attribute may be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeDefinitionView {
    id: String,
    /// `conversation` or `contact`.
    subject: &'static str,
    /// Its name in `attributes`.
    key: String,
    name: String,
    /// `text`, `number`, `boolean`, `date` or `choice`.
    r#type: &'static str,
    /// What may be chosen, in order; empty for other types.
    choices: Vec<String>,
    version: i64,
    created_at: At,
}

impl From<Definition> for AttributeDefinitionView {
    fn from(definition: Definition) -> Self {
        Self {
            id: definition.id.to_string(),
            subject: definition.subject.as_str(),
            key: definition.key,
            name: definition.name,
            r#type: definition.kind.as_str(),
            choices: definition.choices,
            version: definition.version,
            created_at: definition.created_at.into(),
        }
    }
}

/// A definition to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAttributeDefinition {
    /// `conversation` or `contact`; never changes.
    #[schema(pattern = "^(conversation|contact)$", example = "contact")]
    pub(crate) subject: String,
    /// Unique for its subject; never changes.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,62}$", example = "plan")]
    pub(crate) key: String,
    #[schema(min_length = 1, max_length = 100, example = "Plan")]
    pub(crate) name: String,
    /// `text`, `number`, `boolean`, `date` or `choice`; never changes.
    #[schema(pattern = "^(text|number|boolean|date|choice)$", example = "choice")]
    pub(crate) r#type: String,
    /// For a choice, 1 to 200 different ones; for others, none.
    #[serde(default)]
    #[schema(max_items = 200, example = json!(["free", "pro"]))]
    pub(crate) choices: Vec<String>,
}

/// A change of a definition; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttributeDefinitionPatch {
    #[schema(min_length = 1, max_length = 100, example = "Plan")]
    pub(crate) name: Option<String>,
    /// All choices, in order. One that is some conversation's or contact's value can't be left out.
    #[schema(max_items = 200, example = json!(["free", "pro"]))]
    pub(crate) choices: Option<Vec<String>>,
}
