//! People: sign-up, sign-in and their sessions.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, MemberId, PolicyId, TeamId, UserId};
use roost_domain::role::Role;
use serde_json::json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Actor, Cause};
use crate::ts::Ts;
use crate::tx::{BrandTx, SystemTx};

/// A person who signs up and the brand they bring.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The person.
    pub user: UserId,
    /// Their seat.
    pub member: MemberId,
    /// The brand's name.
    pub brand_name: String,
    /// The person's name.
    pub full_name: String,
    /// In lower case.
    pub email: String,
    /// In PHC form.
    pub password_hash: String,
    /// An IANA name.
    pub time_zone: String,
}

/// Target of the policy that every new brand starts with, in seconds.
const DEFAULT_TARGET_SECONDS: i64 = 3600;

/// Makes the person, the transaction's brand, its owner, a default team and an SLA policy; the
/// team, or none if the address is taken.
///
/// # Errors
/// When the database fails.
pub async fn sign_up(
    tx: &mut BrandTx,
    new: &NewAccount,
    request_id: Option<String>,
) -> Result<Option<TeamId>, StoreError> {
    if !create_user(tx, new).await? {
        return Ok(None);
    }
    let brand = tx.brand();
    sqlx::query("insert into brands (brand_id, name, time_zone) values ($1, $2, $3)")
        .bind(brand.0)
        .bind(&new.brand_name)
        .bind(&new.time_zone)
        .execute(tx.conn())
        .await?;
    let team = TeamId(Uuid::now_v7());
    sqlx::query(
        "insert into teams (brand_id, id, name, is_default) values ($1, $2, 'Support', true)",
    )
    .bind(brand.0)
    .bind(team.0)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into sla_policies (brand_id, id, name, first_response_seconds, next_response_seconds)
         values ($1, $2, 'Standard', $3, $3)",
    )
    .bind(brand.0)
    .bind(PolicyId(Uuid::now_v7()).0)
    .bind(DEFAULT_TARGET_SECONDS)
    .execute(tx.conn())
    .await?;
    let cause = Cause::new(Actor::Member(new.member), request_id);
    add_member(tx, new, Role::Owner, team, &cause).await?;
    Ok(Some(team))
}

/// Makes a person; false if the address is taken.
///
/// # Errors
/// When the database fails.
pub async fn create_user(tx: &mut BrandTx, new: &NewAccount) -> Result<bool, StoreError> {
    Ok(
        sqlx::query_scalar("select auth_create_user($1, $2, $3, $4)")
            .bind(new.user.0)
            .bind(&new.email)
            .bind(&new.full_name)
            .bind(&new.password_hash)
            .fetch_one(tx.conn())
            .await?,
    )
}

/// Gives a person a seat in the transaction's brand, a place in a team, and a presence.
///
/// # Errors
/// When the database fails.
pub async fn add_member(
    tx: &mut BrandTx,
    new: &NewAccount,
    role: Role,
    team: TeamId,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into members (brand_id, id, user_id, name, email, role) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(brand.0)
    .bind(new.member.0)
    .bind(new.user.0)
    .bind(&new.full_name)
    .bind(&new.email)
    .bind(role.as_str())
    .execute(tx.conn())
    .await?;
    sqlx::query("insert into team_members (brand_id, team_id, member_id) values ($1, $2, $3)")
        .bind(brand.0)
        .bind(team.0)
        .bind(new.member.0)
        .execute(tx.conn())
        .await?;
    sqlx::query("insert into presence (brand_id, member_id) values ($1, $2)")
        .bind(brand.0)
        .bind(new.member.0)
        .execute(tx.conn())
        .await?;
    let data = json!({ "role": role.as_str(), "team_ids": [team] });
    append_subject_event(tx, EventType::MemberCreated, new.member.0, cause, data).await?;
    Ok(())
}

/// What signing in starts from.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StoredUser {
    /// Who.
    pub user_id: Uuid,
    /// The person's name.
    pub full_name: String,
    /// In PHC form.
    pub password_hash: String,
}

/// Finds a person by address (in lower case).
///
/// # Errors
/// When the database fails.
pub async fn find_user(tx: &mut SystemTx, email: &str) -> Result<Option<StoredUser>, StoreError> {
    Ok(
        sqlx::query_as("select user_id, full_name, password_hash from auth_find_user($1)")
            .bind(email)
            .fetch_optional(tx.conn())
            .await?,
    )
}

/// A seat of a person in a brand.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The brand.
    pub brand: BrandId,
    /// The seat.
    pub member: MemberId,
    /// The brand's name.
    pub brand_name: String,
}

/// The active seats of a person who has proven who they are, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn memberships(tx: &mut SystemTx, user: UserId) -> Result<Vec<Membership>, StoreError> {
    let rows: Vec<(Uuid, Uuid, String)> =
        sqlx::query_as("select brand_id, member_id, brand_name from auth_memberships($1)")
            .bind(user.0)
            .fetch_all(tx.conn())
            .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, member, brand_name)| Membership {
            brand: BrandId(brand),
            member: MemberId(member),
            brand_name,
        })
        .collect())
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Ours; goes into access tokens.
    pub id: Uuid,
    /// Who.
    pub user: UserId,
    /// Acting in which brand.
    pub brand: BrandId,
    /// As which member.
    pub member: MemberId,
    /// SHA-256 of the refresh token.
    pub refresh_hash: Vec<u8>,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// Opens a session.
///
/// # Errors
/// When the database fails.
pub async fn open_session(tx: &mut SystemTx, new: &NewSession) -> Result<(), StoreError> {
    sqlx::query("select session_open($1, $2, $3, $4, $5, $6)")
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.brand.0)
        .bind(new.member.0)
        .bind(&new.refresh_hash)
        .bind(Ts::from(new.expires_at))
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What came of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It was the newest, or had been a moment ago; its session goes on with the successor.
    Ok(Uuid),
    /// It was rotated away long ago: stolen or replayed. Its session has ended.
    Reused,
    /// Never ours, expired, idle or revoked.
    Unknown,
}

/// Trades a refresh token for its successor; both as SHA-256.
///
/// # Errors
/// When the database fails.
pub async fn rotate_session(
    tx: &mut SystemTx,
    presented: &[u8],
    successor: &[u8],
) -> Result<Rotation, StoreError> {
    let (outcome, session): (String, Option<Uuid>) =
        sqlx::query_as("select outcome, session_id from session_rotate($1, $2)")
            .bind(presented)
            .bind(successor)
            .fetch_one(tx.conn())
            .await?;
    Ok(match (outcome.as_str(), session) {
        ("rotated" | "repeat", Some(session)) => Rotation::Ok(session),
        ("reused", _) => Rotation::Reused,
        _ => Rotation::Unknown,
    })
}

/// Moves a session to its person's seat in another brand; false if they have none there.
///
/// # Errors
/// When the database fails.
pub async fn switch_session(
    tx: &mut SystemTx,
    session: Uuid,
    brand: BrandId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select session_switch($1, $2)")
        .bind(session)
        .bind(brand.0)
        .fetch_one(tx.conn())
        .await?)
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn revoke_session(tx: &mut SystemTx, session: Uuid) -> Result<(), StoreError> {
    sqlx::query("select session_revoke($1)")
        .bind(session)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// As whom a session acts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    /// Which.
    pub session: Uuid,
    /// Who.
    pub user: UserId,
    /// In which brand.
    pub brand: BrandId,
    /// As which member.
    pub member: MemberId,
    /// With which role.
    pub role: Role,
    /// False once the seat was deactivated.
    pub active: bool,
}

/// The states of those of these sessions that haven't ended.
///
/// # Errors
/// When the database fails.
pub async fn session_states(
    tx: &mut SystemTx,
    sessions: &[Uuid],
) -> Result<Vec<SessionState>, StoreError> {
    let rows: Vec<(Uuid, Uuid, Uuid, Uuid, String, bool)> = sqlx::query_as(
        "select session_id, user_id, brand_id, member_id, role, active from session_states($1)",
    )
    .bind(sessions)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|(session, user, brand, member, role, active)| {
            Ok(SessionState {
                session,
                user: UserId(user),
                brand: BrandId(brand),
                member: MemberId(member),
                role: crate::ledger::parse(&role)?,
                active,
            })
        })
        .collect()
}
