//! Conditions on rows of other tables, answered beforehand where few conversations meet them.
//!
//! In the order of a list such a condition would be looked up for every conversation that is passed
//! over, thousands for a rare label. Their ids at hand are looked up in a hash instead.

use std::collections::HashSet;

use roost_domain::ids::ConversationId;
use uuid::Uuid;

use super::ConversationFilter;
use crate::error::StoreError;
use crate::tx::BrandTx;

/// More than these aren't rare: the list's own order finds a page of them soon.
const FEW: i64 = 5_000;

impl ConversationFilter {
    /// The same filter with the ids of those that meet its rare conditions in their place.
    pub(super) async fn narrowed(&self, tx: &mut BrandTx) -> Result<Self, StoreError> {
        let mut filter = self.clone();
        let brand = tx.brand();
        if !filter.label.is_empty() {
            let labels: Vec<Uuid> = filter.label.iter().map(|id| id.0).collect();
            let ids: Vec<Uuid> = sqlx::query_scalar(
                "select conversation_id from conversation_labels where brand_id = $1 and label_id = any ($2) limit $3",
            )
            .persistent(false)
            .bind(brand.0)
            .bind(labels)
            .bind(FEW + 1)
            .fetch_all(tx.conn())
            .await?;
            if filter.meet(ids) {
                filter.label.clear();
            }
        }
        for attribute in std::mem::take(&mut filter.attributes) {
            let ids: Vec<Uuid> = sqlx::query_scalar(
                "select a.conversation_id from conversation_attributes a
                 where a.brand_id = $1 and a.definition_id = $2
                   and a.value_hash = any (array(select hashtextextended(v, 0) from unnest($3::text[]) v))
                   and a.value = any ($3)
                 limit $4",
            )
            .persistent(false)
            .bind(brand.0)
            .bind(attribute.definition.0)
            .bind(&attribute.values)
            .bind(FEW + 1)
            .fetch_all(tx.conn())
            .await?;
            if !filter.meet(ids) {
                filter.attributes.push(attribute);
            }
        }
        Ok(filter)
    }

    /// Only those of these; false if they are too many to say so.
    fn meet(&mut self, ids: Vec<Uuid>) -> bool {
        if i64::try_from(ids.len()).is_ok_and(|count| count > FEW) {
            return false;
        }
        let ids: HashSet<ConversationId> = ids.into_iter().map(ConversationId).collect();
        self.found = Some(match self.found.take() {
            Some(found) => found.into_iter().filter(|id| ids.contains(id)).collect(),
            None => ids.into_iter().collect(),
        });
        true
    }
}
