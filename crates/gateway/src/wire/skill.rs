//! Skills.

use roost_store::skills::StoredSkill;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A skill, which members have and conversations need.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SkillView {
    id: String,
    name: String,
}

impl From<StoredSkill> for SkillView {
    fn from(skill: StoredSkill) -> Self {
        Self {
            id: skill.id.to_string(),
            name: skill.name,
        }
    }
}

/// A skill to make, or how it shall be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedSkill {
    #[schema(min_length = 1, max_length = 100, example = "German")]
    pub(crate) name: String,
}
