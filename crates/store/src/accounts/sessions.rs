//! Sessions: opened by signing in, carried on by refresh tokens.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, MemberId, UserId};
use roost_domain::role::Role;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::SystemTx;

/// From where a session was used.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The address.
    pub address: Option<String>,
    /// What the browser or program says it is.
    pub user_agent: Option<String>,
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
    /// From where.
    pub place: Place,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// Opens a session.
///
/// # Errors
/// When the database fails.
pub async fn open_session(conn: &mut PgConnection, new: &NewSession) -> Result<(), StoreError> {
    sqlx::query("select session_open($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(new.id)
        .bind(new.user.0)
        .bind(new.brand.0)
        .bind(new.member.0)
        .bind(&new.refresh_hash)
        .bind(Ts::from(new.expires_at))
        .bind(&new.place.address)
        .bind(&new.place.user_agent)
        .execute(conn)
        .await?;
    Ok(())
}

/// What came of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It was the newest, or had been a moment ago; its session goes on with the successor.
    Ok(Uuid),
    /// It was rotated away long ago: stolen or replayed. Its session has ended.
    Reused {
        /// The session.
        session: Uuid,
        /// In which brand it acted.
        brand: BrandId,
        /// As which member.
        member: MemberId,
    },
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
    place: &Place,
) -> Result<Rotation, StoreError> {
    let (outcome, session, brand, member): (String, Option<Uuid>, Option<Uuid>, Option<Uuid>) =
        sqlx::query_as(
            "select outcome, session_id, brand_id, member_id from session_rotate($1, $2, $3, $4)",
        )
        .bind(presented)
        .bind(successor)
        .bind(&place.address)
        .bind(&place.user_agent)
        .fetch_one(tx.conn())
        .await?;
    Ok(match (outcome.as_str(), session) {
        ("rotated" | "repeat", Some(session)) => Rotation::Ok(session),
        ("reused", Some(session)) => Rotation::Reused {
            session,
            brand: BrandId(brand.unwrap_or_default()),
            member: MemberId(member.unwrap_or_default()),
        },
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
    /// When the person last showed password or code.
    pub proven_at: Timestamp,
    /// Whether they have proven their address.
    pub email_verified: bool,
    /// The brand asks for a second factor and the person has none.
    pub lacks_two_factor: bool,
}

/// The states of those of these sessions that haven't ended.
///
/// # Errors
/// When the database fails.
pub async fn session_states(
    tx: &mut SystemTx,
    sessions: &[Uuid],
) -> Result<Vec<SessionState>, StoreError> {
    let rows: Vec<StateRow> = sqlx::query_as(
        "select session_id, user_id, brand_id, member_id,
                role, active, proven_at, email_verified, lacks_two_factor
         from session_states($1)",
    )
    .bind(sessions)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SessionState {
                session: row.session_id,
                user: UserId(row.user_id),
                brand: BrandId(row.brand_id),
                member: MemberId(row.member_id),
                role: crate::ledger::parse(&row.role)?,
                active: row.active,
                proven_at: row.proven_at.get(),
                email_verified: row.email_verified,
                lacks_two_factor: row.lacks_two_factor,
            })
        })
        .collect()
}

#[derive(sqlx::FromRow)]
struct StateRow {
    session_id: Uuid,
    user_id: Uuid,
    brand_id: Uuid,
    member_id: Uuid,
    role: String,
    active: bool,
    proven_at: Ts,
    email_verified: bool,
    lacks_two_factor: bool,
}

/// A session that hasn't ended, as its person sees it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OpenSession {
    /// Ours.
    pub id: Uuid,
    /// In which brand it acts.
    pub brand_id: Uuid,
    /// The brand's name.
    pub brand_name: String,
    /// When the person signed in.
    pub created_at: Ts,
    /// When it last got a new token.
    pub used_at: Ts,
    /// From which address.
    pub address: Option<String>,
    /// With which browser or program.
    pub user_agent: Option<String>,
}

/// The open sessions of a person, the last used first, at most 200.
///
/// # Errors
/// When the database fails.
pub async fn list_sessions(
    conn: &mut PgConnection,
    user: UserId,
) -> Result<Vec<OpenSession>, StoreError> {
    Ok(sqlx::query_as(
        "select id, brand_id, brand_name,
                created_at, used_at, address, user_agent
         from session_list($1)",
    )
    .bind(user.0)
    .fetch_all(conn)
    .await?)
}

/// Ends a session of a person; false if they have no such one.
///
/// # Errors
/// When the database fails.
pub async fn end_session(
    conn: &mut PgConnection,
    user: UserId,
    session: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select session_end($1, $2)")
        .bind(user.0)
        .bind(session)
        .fetch_one(conn)
        .await?)
}

/// Ends all sessions of a person but one; answers how many.
///
/// # Errors
/// When the database fails.
pub async fn end_other_sessions(
    conn: &mut PgConnection,
    user: UserId,
    keep: Uuid,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select session_end_others($1, $2)")
        .bind(user.0)
        .bind(keep)
        .fetch_one(conn)
        .await?)
}

/// Notes that the person has shown password or code again.
///
/// # Errors
/// When the database fails.
pub async fn prove_session(conn: &mut PgConnection, session: Uuid) -> Result<(), StoreError> {
    sqlx::query("select session_prove($1)")
        .bind(session)
        .execute(conn)
        .await?;
    Ok(())
}
