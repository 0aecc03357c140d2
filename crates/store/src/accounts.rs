//! People: sign-up, sign-in and their sessions.

pub mod factors;
pub mod links;
mod person;
mod sessions;
pub mod tries;

pub use person::{Person, StoredUser, find, find_user, set_password, trust_email};
pub use sessions::{
    NewSession, OpenSession, Place, Rotation, SessionState, end_other_sessions, end_session,
    list_sessions, open_session, prove_session, rotate_session, session_states, switch_session,
};

use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, MemberId, PolicyId, TeamId, UserId};
use roost_domain::role::Role;
use roost_domain::sla::{PolicySpec, Seconds, Target};
use serde_json::json;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Actor, Cause};
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
/// When a new brand's clocks warn, in percent of the target.
const DEFAULT_WARNING_PERCENT: u8 = 75;

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
    let target = Target {
        calendar_id: None,
        seconds: Seconds::all(DEFAULT_TARGET_SECONDS),
    };
    let spec = PolicySpec {
        first_response: Some(target.clone()),
        next_response: Some(target),
        warnings: vec![DEFAULT_WARNING_PERCENT],
        ..PolicySpec::default()
    };
    sqlx::query(
        "with made as (
             insert into sla_policies (brand_id, id, name, spec) values ($1, $2, 'Standard', $3)
             returning brand_id, id, version, spec
         )
         insert into sla_policy_versions (brand_id, policy_id, version, spec)
         select brand_id, id, version, spec from made",
    )
    .bind(brand.0)
    .bind(PolicyId(Uuid::now_v7()).0)
    .bind(Json(spec))
    .execute(tx.conn())
    .await?;
    let cause = Cause::new(Actor::Member(new.member), request_id);
    add_member(tx, new, Role::Owner, &[team], &cause).await?;
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

/// Gives a person a seat in the transaction's brand, a place in teams, and a presence.
///
/// # Errors
/// When the database fails.
pub async fn add_member(
    tx: &mut BrandTx,
    new: &NewAccount,
    role: Role,
    teams: &[TeamId],
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
    let of_teams: Vec<Uuid> = teams.iter().map(|team| team.0).collect();
    sqlx::query(
        "insert into team_members (brand_id, team_id, member_id) select $1, unnest($2::uuid[]), $3",
    )
    .bind(brand.0)
    .bind(of_teams)
    .bind(new.member.0)
    .execute(tx.conn())
    .await?;
    sqlx::query("insert into presence (brand_id, member_id) values ($1, $2)")
        .bind(brand.0)
        .bind(new.member.0)
        .execute(tx.conn())
        .await?;
    let data = json!({ "role": role.as_str(), "team_ids": teams });
    append_subject_event(tx, EventType::MemberCreated, new.member.0, cause, data).await?;
    Ok(())
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
