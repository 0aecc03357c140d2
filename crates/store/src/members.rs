//! Members of a brand.

mod change;
mod handback;

use jiff::Timestamp;
use roost_domain::ids::{MemberId, TeamId, UserId};
use roost_domain::role::Role;
use roost_domain::routing::Presence;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::parse;
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use change::{MemberChange, MemberOutcome, change};
pub(crate) use handback::owe;
pub use handback::{brands_owing, give_back};

/// A member with what routing knows of them.
#[derive(Debug, Clone)]
pub struct StoredMember {
    /// Ours.
    pub id: MemberId,
    /// The person; none for an API key's member.
    pub user: Option<UserId>,
    /// What colleagues call them.
    pub name: String,
    /// In lower case; none for an API key's member.
    pub email: Option<String>,
    /// What they may do.
    pub role: Role,
    /// How many open conversations they take.
    pub capacity: i32,
    /// How many they have.
    pub load: i64,
    /// By name.
    pub skills: Vec<String>,
    /// By id.
    pub teams: Vec<TeamId>,
    /// The brand's own name for them.
    pub external_id: Option<String>,
    /// Whether they take work.
    pub presence: Presence,
    /// Since when.
    pub present_since: Option<Timestamp>,
    /// False once deactivated.
    pub active: bool,
}

impl StoredMember {
    /// Whether it is an API key's member rather than a person.
    #[must_use]
    pub fn is_bot(&self) -> bool {
        self.user.is_none()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: Option<Uuid>,
    name: String,
    email: Option<String>,
    role: String,
    capacity: i32,
    load: i64,
    skills: Vec<String>,
    teams: Vec<Uuid>,
    external_id: Option<String>,
    presence: Option<String>,
    since: Option<Ts>,
    active: bool,
}

impl TryFrom<Row> for StoredMember {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: MemberId(row.id),
            user: row.user_id.map(UserId),
            name: row.name,
            email: row.email,
            role: parse(&row.role)?,
            capacity: row.capacity,
            load: row.load,
            skills: row.skills,
            teams: row.teams.into_iter().map(TeamId).collect(),
            external_id: row.external_id,
            presence: row
                .presence
                .as_deref()
                .map_or(Ok(Presence::Offline), parse)?,
            present_since: row.since.map(Ts::get),
            active: row.active,
        })
    }
}

/// Members by name after a key, or the wanted ones.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    wanted: Option<&[MemberId]>,
    after: Option<(&str, MemberId)>,
    limit: i64,
) -> Result<Vec<StoredMember>, StoreError> {
    let brand = tx.brand();
    let wanted: Option<Vec<Uuid>> = wanted.map(|ids| ids.iter().map(|id| id.0).collect());
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.user_id, m.name, m.email, m.role, m.capacity, m.external_id, m.active,
                p.status as presence, p.since,
                (select count(*) from conversations c
                 where c.brand_id = m.brand_id and c.assignee_id = m.id and c.status = 'open'
                   and c.queued_at is null) as load,
                array(select s.name from member_skills k join skills s on s.brand_id = k.brand_id and s.id = k.skill_id
                      where k.brand_id = m.brand_id and k.member_id = m.id order by s.name) as skills,
                array(select t.team_id from team_members t
                      where t.brand_id = m.brand_id and t.member_id = m.id order by t.team_id) as teams
         from members m left join presence p on p.brand_id = m.brand_id and p.member_id = m.id
         where m.brand_id = $1 and ($2::uuid[] is null or m.id = any ($2))
           and ($3::text is null or (m.name, m.id) > ($3, $4))
         order by m.name, m.id limit $5",
    )
    .bind(brand.0)
    .bind(wanted)
    .bind(after.map(|(name, _)| name))
    .bind(after.map(|(_, id)| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Finds one member.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: MemberId) -> Result<Option<StoredMember>, StoreError> {
    Ok(list(tx, Some(&[id]), None, 1).await?.pop())
}
