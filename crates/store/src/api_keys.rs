//! API keys: as whom and how far a program may act.

mod manage;

use roost_domain::ids::{ApiKeyId, BrandId, ChannelId, MemberId, TeamId};
use roost_domain::role::{Permission, Role};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::parse;
use crate::tx::{Store, SystemTx};
pub use manage::{
    KeyChange, NewKey, OVERLAP_HOURS, Secret, StoredKey, change, create, find, list, lock, revoke,
    rotate,
};

/// What a good key is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGrant {
    /// Which key.
    pub key: ApiKeyId,
    /// In which brand.
    pub brand: BrandId,
    /// As which member, of kind bot.
    pub member: MemberId,
    /// What that member may do at most.
    pub role: Role,
    /// What of that the key may do.
    pub scopes: Vec<Permission>,
    /// Whether it sees sandbox channels only.
    pub is_test: bool,
    /// Whose conversations it sees; none for all.
    pub teams: Option<Vec<TeamId>>,
    /// Over which channels; none for all.
    pub channels: Option<Vec<ChannelId>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    brand_id: Uuid,
    key_id: Uuid,
    member_id: Uuid,
    role: String,
    mode: String,
    scopes: Vec<String>,
    team_ids: Option<Vec<Uuid>>,
    channel_ids: Option<Vec<Uuid>>,
}

impl TryFrom<Row> for KeyGrant {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let teams = row.team_ids;
        let channels = row.channel_ids;
        Ok(Self {
            key: ApiKeyId(row.key_id),
            brand: BrandId(row.brand_id),
            member: MemberId(row.member_id),
            role: parse(&row.role)?,
            // A scope that a newer version knew is none here.
            scopes: row
                .scopes
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            is_test: row.mode == "test",
            teams: teams.map(|ids| ids.into_iter().map(TeamId).collect()),
            channels: channels.map(|ids| ids.into_iter().map(ChannelId).collect()),
        })
    }
}

/// What the key with this SHA-256 is good for; none if there is none, or it was revoked or ran out.
///
/// # Errors
/// When the database fails.
pub async fn resolve(tx: &mut SystemTx, hash: &[u8]) -> Result<Option<KeyGrant>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select brand_id, key_id, member_id, role,
                mode, scopes, team_ids, channel_ids
         from api_key_resolve($1)",
    )
    .bind(hash)
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Notes that keys were used just now; one that was noted within the last minute is left alone.
///
/// # Errors
/// When the database fails.
pub async fn note_used(store: &Store, keys: Vec<ApiKeyId>) -> Result<(), StoreError> {
    let keys: Vec<Uuid> = keys.into_iter().map(|key| key.0).collect();
    store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select api_keys_used($1)")
                    .bind(keys)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
}
