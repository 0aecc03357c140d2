//! Making, changing and ending keys. A key's member lives and dies with it.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{ApiKeyId, ChannelId, MemberId, TeamId};
use roost_domain::role::{Permission, Role};
use serde_json::json;
use uuid::Uuid;

use crate::changed::{Changed, expect_version};
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Cause, parse};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// How long the previous secret is good after a rotation, in hours.
pub const OVERLAP_HOURS: i32 = 24;

/// A key as its brand sees it.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Ours.
    pub id: ApiKeyId,
    /// As whom it acts.
    pub member: MemberId,
    /// The member's name.
    pub name: String,
    /// The member's role.
    pub role: Role,
    /// Whether it sees sandbox channels only.
    pub is_test: bool,
    /// By name, in the order of the table of permissions.
    pub scopes: Vec<String>,
    /// Whose conversations it sees; none for all.
    pub teams: Option<Vec<TeamId>>,
    /// Over which channels; none for all.
    pub channels: Option<Vec<ChannelId>>,
    /// The last characters of its secret.
    pub hint: String,
    /// Until when the secret before the last rotation is good.
    pub previous_until: Option<Timestamp>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: MemberId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Rises with each change.
    pub version: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    member_id: Uuid,
    name: String,
    role: String,
    mode: String,
    scopes: Vec<String>,
    team_ids: Option<Vec<Uuid>>,
    channel_ids: Option<Vec<Uuid>>,
    hint: String,
    previous_until: Option<Ts>,
    expires_at: Option<Ts>,
    last_used_at: Option<Ts>,
    revoked_at: Option<Ts>,
    created_by: Uuid,
    created_at: Ts,
    version: i64,
}

impl TryFrom<Row> for StoredKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: ApiKeyId(row.id),
            member: MemberId(row.member_id),
            name: row.name,
            role: parse(&row.role)?,
            is_test: row.mode == "test",
            scopes: row.scopes,
            teams: row
                .team_ids
                .map(|ids| ids.into_iter().map(TeamId).collect()),
            channels: row
                .channel_ids
                .map(|ids| ids.into_iter().map(ChannelId).collect()),
            hint: row.hint,
            previous_until: row.previous_until.map(Ts::get),
            expires_at: row.expires_at.map(Ts::get),
            last_used_at: row.last_used_at.map(Ts::get),
            revoked_at: row.revoked_at.map(Ts::get),
            created_by: MemberId(row.created_by),
            created_at: row.created_at.get(),
            version: row.version,
        })
    }
}

/// Keys, newest first, revoked ones too: those before an id, or the wanted one.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    wanted: Option<ApiKeyId>,
    before: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<StoredKey>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select k.id, k.member_id, m.name, m.role, k.mode, k.scopes, k.team_ids, k.channel_ids, k.hint,
                k.previous_until, k.expires_at, k.last_used_at, k.revoked_at, k.created_by, k.created_at, k.version
         from api_keys k join members m on m.brand_id = k.brand_id and m.id = k.member_id
         where k.brand_id = $1 and ($2::uuid is null or k.id = $2) and ($3::uuid is null or k.id < $3)
         order by k.id desc limit $4",
    )
    .bind(brand.0)
    .bind(wanted.map(|id| id.0))
    .bind(before.map(|id| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Finds one key.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: ApiKeyId) -> Result<Option<StoredKey>, StoreError> {
    Ok(list(tx, Some(id), None, 1).await?.pop())
}

/// The secret of a key, as it is kept.
#[derive(Debug, Clone)]
pub struct Secret {
    /// SHA-256.
    pub hash: Vec<u8>,
    /// Its last characters.
    pub hint: String,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What its member is called.
    pub name: String,
    /// What its member may do at most.
    pub role: Role,
    /// Whether it sees sandbox channels only.
    pub is_test: bool,
    /// What of that the key may do.
    pub scopes: Vec<Permission>,
    /// Whose conversations it sees; none for all.
    pub teams: Option<Vec<TeamId>>,
    /// Over which channels; none for all.
    pub channels: Option<Vec<ChannelId>>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// Its secret.
    pub secret: Secret,
    /// Who makes it.
    pub created_by: MemberId,
}

fn names(scopes: &[Permission]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn team_ids(teams: Option<&Vec<TeamId>>) -> Option<Vec<Uuid>> {
    teams.map(|ids| ids.iter().map(|id| id.0).collect())
}

fn channel_ids(channels: Option<&Vec<ChannelId>>) -> Option<Vec<Uuid>> {
    channels.map(|ids| ids.iter().map(|id| id.0).collect())
}

/// Makes a key and its member, who has no presence and no team: nobody is given work through it.
///
/// # Errors
/// When the database fails.
pub async fn create(tx: &mut BrandTx, new: &NewKey, cause: &Cause) -> Result<ApiKeyId, StoreError> {
    let brand = tx.brand();
    let (id, member) = (ApiKeyId(Uuid::now_v7()), MemberId(Uuid::now_v7()));
    sqlx::query(
        "insert into members (brand_id, id, kind, name, role, capacity) values ($1, $2, 'bot', $3, $4, 0)",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(&new.name)
    .bind(new.role.as_str())
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into api_keys (brand_id, id, member_id, mode, scopes, team_ids, channel_ids, hint, hash, expires_at,
                               created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(member.0)
    .bind(if new.is_test { "test" } else { "live" })
    .bind(names(&new.scopes))
    .bind(team_ids(new.teams.as_ref()))
    .bind(channel_ids(new.channels.as_ref()))
    .bind(&new.secret.hint)
    .bind(&new.secret.hash)
    .bind(new.expires_at.map(Ts::from))
    .bind(new.created_by.0)
    .execute(tx.conn())
    .await?;
    let data = json!({ "kind": "bot", "role": new.role.as_str(), "active": true });
    append_subject_event(tx, EventType::MemberCreated, member.0, cause, data).await?;
    Ok(id)
}

/// A wanted change; what is none stays, an inner none removes.
#[derive(Debug, Clone, Default)]
pub struct KeyChange {
    /// The version that it is made on.
    pub if_version: Option<i64>,
    /// What its member is called.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<Vec<Permission>>,
    /// Whose conversations it sees.
    pub teams: Option<Option<Vec<TeamId>>>,
    /// Over which channels.
    pub channels: Option<Option<Vec<ChannelId>>>,
    /// When it runs out.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Locks a key for a change; answers how it is.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    tx: &mut BrandTx,
    id: ApiKeyId,
    if_version: Option<i64>,
) -> Result<Changed<StoredKey>, StoreError> {
    let brand = tx.brand();
    sqlx::query("select from api_keys where brand_id = $1 and id = $2 for no key update")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    let row = find(tx, id).await?;
    Ok(expect_version(row, if_version, |row| row.version))
}

/// Changes a key that [`lock`] gave.
///
/// # Errors
/// When the database fails.
pub async fn change(
    tx: &mut BrandTx,
    key: &StoredKey,
    change: &KeyChange,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let scopes = change.scopes.as_deref().map(names);
    sqlx::query(
        "with renamed as (
            update members set name = $3 where brand_id = $1 and id = $10 and name <> $3
         )
         update api_keys set scopes = coalesce($4, scopes),
                team_ids = case when $5 then $6 else team_ids end,
                channel_ids = case when $7 then $8 else channel_ids end,
                expires_at = case when $9 then $11 else expires_at end,
                version = version + 1
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(key.id.0)
    .bind(change.name.as_ref().unwrap_or(&key.name))
    .bind(scopes)
    .bind(change.teams.is_some())
    .bind(team_ids(change.teams.as_ref().and_then(Option::as_ref)))
    .bind(change.channels.is_some())
    .bind(channel_ids(
        change.channels.as_ref().and_then(Option::as_ref),
    ))
    .bind(change.expires_at.is_some())
    .bind(key.member.0)
    .bind(change.expires_at.flatten().map(Ts::from))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives a key that [`lock`] gave a new secret; the one it had is good for [`OVERLAP_HOURS`] more, the
/// one before that no longer.
///
/// # Errors
/// When the database fails.
pub async fn rotate(tx: &mut BrandTx, id: ApiKeyId, secret: &Secret) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update api_keys set previous_hash = hash, previous_until = now() + make_interval(hours => $5),
                hash = $3, hint = $4, version = version + 1
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&secret.hash)
    .bind(&secret.hint)
    .bind(OVERLAP_HOURS)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a key that [`lock`] gave, and deactivates its member, who stays the author of what it did.
///
/// # Errors
/// When the database fails.
pub async fn revoke(tx: &mut BrandTx, key: &StoredKey, cause: &Cause) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "with ended as (
            update members set active = false where brand_id = $1 and id = $3
         )
         update api_keys set revoked_at = now(), version = version + 1 where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(key.id.0)
    .bind(key.member.0)
    .execute(tx.conn())
    .await?;
    let data = json!({
        "kind": "bot", "role": key.role.as_str(), "active": false, "changed": { "active": [true, false] },
    });
    append_subject_event(tx, EventType::MemberUpdated, key.member.0, cause, data).await?;
    Ok(())
}
