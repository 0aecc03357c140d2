//! What groups are called: of those who have left and what was deleted too, as long as a row is there.

use std::collections::{BTreeMap, BTreeSet};

use roost_domain::sla::ClockKind;
use uuid::Uuid;

use super::Group;
use crate::error::StoreError;
use crate::tx::BrandTx;

/// Names by id. A thing that is gone without a trace has none.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<Uuid, String>);

impl Names {
    /// What a team, member, channel or policy is called.
    #[must_use]
    pub fn of(&self, id: Uuid) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }

    /// By what rows are ordered.
    pub(super) fn key(&self, group: &Group) -> (ClockKind, [Option<String>; 4]) {
        let name = |id: Option<Uuid>| id.and_then(|id| self.of(id)).map(str::to_lowercase);
        let names = [
            name(group.team.map(|id| id.0)),
            name(group.member.map(|id| id.0)),
            name(group.channel.map(|id| id.0)),
            name(group.policy.map(|id| id.0)),
        ];
        (group.kind, names)
    }
}

pub(super) async fn load(tx: &mut BrandTx, groups: &BTreeSet<Group>) -> Result<Names, StoreError> {
    let brand = tx.brand();
    let ids: BTreeSet<Uuid> = groups
        .iter()
        .flat_map(|group| {
            [
                group.team.map(|id| id.0),
                group.member.map(|id| id.0),
                group.channel.map(|id| id.0),
                group.policy.map(|id| id.0),
            ]
        })
        .flatten()
        .collect();
    if ids.is_empty() {
        return Ok(Names::default());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, name from teams where brand_id = $1 and id = any ($2)
         union all select id, name from members where brand_id = $1 and id = any ($2)
         union all select id, name from channels where brand_id = $1 and id = any ($2)
         union all select id, name from sla_policies where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(Names(rows.into_iter().collect()))
}
