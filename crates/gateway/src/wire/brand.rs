//! The brand.

use roost_domain::ids::BrandId;
use roost_store::brands::StoredBrand;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::At;

/// A brand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrandView {
    id: String,
    name: String,
    /// An IANA name.
    time_zone: String,
    created_at: At,
}

impl BrandView {
    pub(crate) fn new(id: BrandId, brand: StoredBrand) -> Self {
        Self {
            id: id.to_string(),
            name: brand.name,
            time_zone: brand.time_zone,
            created_at: brand.created_at.into(),
        }
    }
}

/// A change of the brand; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrandPatch {
    #[schema(min_length = 1, max_length = 200)]
    pub(crate) name: Option<String>,
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    pub(crate) time_zone: Option<String>,
}
