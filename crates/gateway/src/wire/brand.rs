//! The brand.

use roost_domain::ids::BrandId;
use roost_store::brands::StoredBrand;
use serde::Serialize;
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
