//! Invitations to a brand: bound to an address, good once and for 72 h.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, InvitationId, MemberId, TeamId, UserId};
use roost_domain::role::Role;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::{BrandTx, SystemTx};

/// How long an invitation is good, in hours.
pub const HOURS: i32 = 72;

/// An invitation to make.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Ours.
    pub id: InvitationId,
    /// In lower case.
    pub email: String,
    /// The role of the seat.
    pub role: Role,
    /// Its teams.
    pub teams: Vec<TeamId>,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// Who invites.
    pub by: MemberId,
}

/// An invitation that is open, or has run out without an answer.
#[derive(Debug, Clone)]
pub struct StoredInvitation {
    /// Ours.
    pub id: InvitationId,
    /// In lower case.
    pub email: String,
    /// The role of the seat.
    pub role: Role,
    /// Its teams.
    pub teams: Vec<TeamId>,
    /// Who invited.
    pub by: MemberId,
    /// How many mails went out.
    pub sent_count: i32,
    /// When the last did.
    pub sent_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
    role: String,
    team_ids: Vec<Uuid>,
    invited_by: Uuid,
    sent_count: i32,
    sent_at: Ts,
    expires_at: Ts,
    created_at: Ts,
}

impl Row {
    fn read(self) -> Result<StoredInvitation, StoreError> {
        Ok(StoredInvitation {
            id: InvitationId(self.id),
            email: self.email,
            role: crate::ledger::parse(&self.role)?,
            teams: self.team_ids.into_iter().map(TeamId).collect(),
            by: MemberId(self.invited_by),
            sent_count: self.sent_count,
            sent_at: self.sent_at.get(),
            expires_at: self.expires_at.get(),
            created_at: self.created_at.get(),
        })
    }
}

/// Mails for invitations within the last day: of a member and of the whole brand. Withdrawn ones
/// count, so that inviting and withdrawing in turn is no way to send without end.
///
/// # Errors
/// When the database fails.
pub async fn sent_lately(tx: &mut BrandTx, by: MemberId) -> Result<(i64, i64), StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select coalesce(sum(sent_count) filter (where invited_by = $2), 0)::bigint, coalesce(sum(sent_count), 0)::bigint
         from invitations where brand_id = $1 and sent_at > now() - interval '1 day'",
    )
    .bind(brand.0)
    .bind(by.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Whether somebody active with this address has a seat.
///
/// # Errors
/// When the database fails.
pub async fn is_member(tx: &mut BrandTx, email: &str) -> Result<bool, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select exists (select from members where brand_id = $1 and lower(email) = $2 and active)",
    )
    .bind(brand.0)
    .bind(email)
    .fetch_one(tx.conn())
    .await?)
}

/// The seat of a person and whether it is active, locked.
///
/// # Errors
/// When the database fails.
pub async fn lock_seat(
    tx: &mut BrandTx,
    user: UserId,
) -> Result<Option<(MemberId, bool)>, StoreError> {
    let brand = tx.brand();
    let row: Option<(Uuid, bool)> = sqlx::query_as(
        "select id, active from members where brand_id = $1 and user_id = $2 for no key update",
    )
    .bind(brand.0)
    .bind(user.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|(id, active)| (MemberId(id), active)))
}

/// Makes an invitation; one that was open for the same address is withdrawn.
///
/// # Errors
/// When the database fails.
pub async fn create(tx: &mut BrandTx, new: &NewInvitation) -> Result<StoredInvitation, StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update invitations set revoked_at = now()
         where brand_id = $1 and email = $2 and accepted_at is null and revoked_at is null",
    )
    .bind(brand.0)
    .bind(&new.email)
    .execute(tx.conn())
    .await?;
    let teams: Vec<Uuid> = new.teams.iter().map(|team| team.0).collect();
    let row: Row = sqlx::query_as(
        "insert into invitations (brand_id, id, email, role, team_ids, token_hash, invited_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(hours => $8))
         returning id, email, role, team_ids, invited_by, sent_count, sent_at, expires_at, created_at",
    )
    .bind(brand.0)
    .bind(new.id.0)
    .bind(&new.email)
    .bind(new.role.as_str())
    .bind(teams)
    .bind(&new.token_hash)
    .bind(new.by.0)
    .bind(HOURS)
    .fetch_one(tx.conn())
    .await?;
    row.read()
}

/// Open invitations, also those that have run out, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    before: Option<InvitationId>,
    limit: i64,
) -> Result<Vec<StoredInvitation>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, email, role, team_ids, invited_by, sent_count, sent_at, expires_at, created_at from invitations
         where brand_id = $1 and accepted_at is null and revoked_at is null and ($2::uuid is null or id < $2)
         order by id desc limit $3",
    )
    .bind(brand.0)
    .bind(before.map(|id| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Locks an open invitation; where a token's hash is given, only if it is still this one.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    tx: &mut BrandTx,
    id: InvitationId,
    token_hash: Option<&[u8]>,
) -> Result<Option<StoredInvitation>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, email, role, team_ids, invited_by, sent_count, sent_at, expires_at, created_at from invitations
         where brand_id = $1 and id = $2 and accepted_at is null and revoked_at is null
           and ($3::bytea is null or token_hash = $3) for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(token_hash)
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::read).transpose()
}

/// Withdraws an invitation.
///
/// # Errors
/// When the database fails.
pub async fn revoke(tx: &mut BrandTx, id: InvitationId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("update invitations set revoked_at = now() where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Gives an invitation a new token and time; the old link is good no more.
///
/// # Errors
/// When the database fails.
pub async fn renew(
    tx: &mut BrandTx,
    id: InvitationId,
    token_hash: &[u8],
) -> Result<StoredInvitation, StoreError> {
    let brand = tx.brand();
    let row: Row = sqlx::query_as(
        "update invitations set token_hash = $3, sent_count = sent_count + 1, sent_at = now(),
                                expires_at = now() + make_interval(hours => $4)
         where brand_id = $1 and id = $2
         returning id, email, role, team_ids, invited_by, sent_count, sent_at, expires_at, created_at",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(token_hash)
    .bind(HOURS)
    .fetch_one(tx.conn())
    .await?;
    row.read()
}

/// Marks a locked invitation as accepted.
///
/// # Errors
/// When the database fails.
pub async fn accept(tx: &mut BrandTx, id: InvitationId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("update invitations set accepted_at = now() where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// To what a token invites.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Whose invitation.
    pub brand: BrandId,
    /// Which.
    pub id: InvitationId,
    /// To which address it went.
    pub email: String,
    /// The brand's name.
    pub brand_name: String,
}

/// Resolves the hash of a token that can still be accepted.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut SystemTx, token_hash: &[u8]) -> Result<Option<Invited>, StoreError> {
    let row: Option<(Uuid, Uuid, String, String)> = sqlx::query_as(
        "select brand_id, invitation_id, email, brand_name from invitation_find($1)",
    )
    .bind(token_hash)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|(brand, id, email, brand_name)| Invited {
        brand: BrandId(brand),
        id: InvitationId(id),
        email,
        brand_name,
    }))
}
