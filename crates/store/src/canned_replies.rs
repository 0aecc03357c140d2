//! Canned replies: texts that members send often.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, CannedReplyId, ConversationId, MemberId, TeamId};
use roost_domain::text::search_key;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::changed::{Changed, expect_version};
use crate::error::StoreError;

use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;

/// A canned reply.
#[derive(Debug, Clone)]
pub struct StoredCannedReply {
    /// Ours.
    pub id: CannedReplyId,
    /// What lists show.
    pub title: String,
    /// What a member types; unique in the brand, whatever the case.
    pub shortcut: String,
    /// With variables, see `roost_domain::template`.
    pub text: String,
    /// Whose it is; none: everybody's.
    pub teams: Option<Vec<TeamId>>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By what lists are ordered.
    pub sort_title: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    title: String,
    shortcut: String,
    text: String,
    is_restricted: bool,
    teams: Vec<Uuid>,
    version: i64,
    created_at: Ts,
    updated_at: Ts,
    sort_title: String,
}

impl From<Row> for StoredCannedReply {
    fn from(row: Row) -> Self {
        Self {
            id: CannedReplyId(row.id),
            title: row.title,
            shortcut: row.shortcut,
            text: row.text,
            teams: row
                .is_restricted
                .then(|| row.teams.into_iter().map(TeamId).collect()),
            version: row.version,
            created_at: row.created_at.get(),
            updated_at: row.updated_at.get(),
            sort_title: row.sort_title,
        }
    }
}

/// Begins a statement on the replies that a caller sees: those of everybody, and of their teams.
fn select(brand: BrandId, visibility: &Visibility) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select r.id, r.title, r.shortcut, r.text, r.is_restricted,
                array(select t.team_id from canned_reply_teams t
                      where t.brand_id = r.brand_id and t.canned_reply_id = r.id order by t.team_id) as teams,
                r.version, r.created_at, r.updated_at, lower(r.title) as sort_title
         from canned_replies r where r.brand_id = ",
    );
    query.push_bind(brand.0);
    if let Some(teams) = &visibility.teams {
        let ids: Vec<Uuid> = teams.iter().map(|id| id.0).collect();
        query
            .push(
                " and (not r.is_restricted or exists (
                    select from canned_reply_teams t where t.brand_id = r.brand_id and t.canned_reply_id = r.id
                      and t.team_id = any (",
            )
            .push_bind(ids)
            .push(")))");
    } else if let Some(member) = visibility.closed_teams_of {
        query
            .push(
                " and (not r.is_restricted or exists (
                    select from canned_reply_teams t
                    join team_members w on w.brand_id = t.brand_id and w.team_id = t.team_id
                    where t.brand_id = r.brand_id and t.canned_reply_id = r.id and w.member_id = ",
            )
            .push_bind(member.0)
            .push("))");
    }
    query
}

/// A page of the replies that a caller sees, by title, after one's `sort_title` and id; those whose
/// title or shortcut has the wanted text in it, whatever case and accents.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    visibility: &Visibility,
    wanted: Option<&str>,
    after: Option<(&str, CannedReplyId)>,
    limit: i64,
) -> Result<Vec<StoredCannedReply>, StoreError> {
    let mut query = select(tx.brand(), visibility);
    if let Some(wanted) = wanted {
        query
            .push(" and position(")
            .push_bind(search_key(wanted))
            .push(" in r.search_key) > 0");
    }
    if let Some((title, id)) = after {
        query
            .push(" and (lower(r.title), r.id) > (")
            .push_bind(title.to_owned())
            .push(", ")
            .push_bind(id.0)
            .push(")");
    }
    query
        .push(" order by lower(r.title), r.id limit ")
        .push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// One reply, if the caller sees it.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: CannedReplyId,
    visibility: &Visibility,
) -> Result<Option<StoredCannedReply>, StoreError> {
    let mut query = select(tx.brand(), visibility);
    query.push(" and r.id = ").push_bind(id.0);
    let row: Option<Row> = query.build_query_as().fetch_optional(tx.conn()).await?;
    Ok(row.map(Into::into))
}

/// What a canned reply says and whose it is.
#[derive(Debug, Clone)]
pub struct CannedReply {
    /// What lists show.
    pub title: String,
    /// What a member types.
    pub shortcut: String,
    /// With variables.
    pub text: String,
    /// Whose it is; none: everybody's.
    pub teams: Option<Vec<TeamId>>,
}

impl CannedReply {
    fn key(&self) -> String {
        format!(
            "{}\n{}",
            search_key(&self.title),
            search_key(&self.shortcut)
        )
    }
}

/// Makes a reply. A shortcut that is taken is refused by `canned_replies_shortcut_key`, a team that
/// isn't the brand's by a foreign key.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn create(tx: &mut BrandTx, new: &CannedReply) -> Result<CannedReplyId, StoreError> {
    let brand = tx.brand();
    let id = CannedReplyId(Uuid::now_v7());
    sqlx::query(
        "insert into canned_replies (brand_id, id, title, shortcut, text, is_restricted, search_key)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&new.title)
    .bind(&new.shortcut)
    .bind(&new.text)
    .bind(new.teams.is_some())
    .bind(new.key())
    .execute(tx.conn())
    .await?;
    give_to(tx, id, new.teams.as_deref()).await?;
    Ok(id)
}

/// Replaces what a reply says and whose it is, if it still has the wanted version; answers which that was. Constraints as with
/// [`create`].
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn replace(
    tx: &mut BrandTx,
    id: CannedReplyId,
    new: &CannedReply,
    if_version: Option<i64>,
) -> Result<Changed<i64>, StoreError> {
    let brand = tx.brand();
    let version = lock(tx, id).await?;
    let held = expect_version(version, if_version, |version| *version);
    if !matches!(held, Changed::Done(_)) {
        return Ok(held);
    }
    sqlx::query(
        "update canned_replies set title = $3, shortcut = $4, text = $5, is_restricted = $6, search_key = $7,
                version = version + 1, updated_at = now()
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&new.title)
    .bind(&new.shortcut)
    .bind(&new.text)
    .bind(new.teams.is_some())
    .bind(new.key())
    .execute(tx.conn())
    .await?;
    give_to(tx, id, new.teams.as_deref()).await?;
    Ok(held)
}

/// Holds a reply until the end of the transaction; answers its version, if it is there.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut BrandTx, id: CannedReplyId) -> Result<Option<i64>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select version from canned_replies where brand_id = $1 and id = $2 for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?)
}

async fn give_to(
    tx: &mut BrandTx,
    id: CannedReplyId,
    teams: Option<&[TeamId]>,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = teams.unwrap_or_default().iter().map(|id| id.0).collect();
    sqlx::query(
        "delete from canned_reply_teams where brand_id = $1 and canned_reply_id = $2 and team_id <> all ($3)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into canned_reply_teams (brand_id, canned_reply_id, team_id)
         select $1, $2, team from unnest($3::uuid[]) team on conflict do nothing",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes a reply; false if there is none.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: CannedReplyId) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let gone = sqlx::query("delete from canned_replies where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// What a reply can be filled with.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Surroundings {
    /// What the customer is called.
    pub contact_name: String,
    /// Their handle.
    pub contact_handle: Option<String>,
    /// What the member who writes is called.
    pub agent_name: String,
    /// What the brand is called.
    pub brand_name: String,
}

/// What a conversation gives to a reply, if the caller sees it.
///
/// # Errors
/// When the database fails.
pub async fn surroundings(
    tx: &mut BrandTx,
    conversation: ConversationId,
    member: MemberId,
    visibility: &Visibility,
) -> Result<Option<Surroundings>, StoreError> {
    let mut query = QueryBuilder::new(
        "select p.name as contact_name, p.handle as contact_handle, m.name as agent_name, b.name as brand_name
         from conversations c
         join contacts p on p.brand_id = c.brand_id and p.id = c.contact_id
         join brands b on b.brand_id = c.brand_id
         join members m on m.brand_id = c.brand_id and m.id = ",
    );
    query.push_bind(member.0);
    query.push(" where c.brand_id = ").push_bind(tx.brand().0);
    query.push(" and c.id = ").push_bind(conversation.0);
    visibility.push(&mut query);
    Ok(query.build_query_as().fetch_optional(tx.conn()).await?)
}
