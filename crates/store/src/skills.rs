//! Skills: what members have and conversations need.

use roost_domain::ids::{MemberId, SkillId};
use uuid::Uuid;

use crate::changed::{Changed, expect_version};
use crate::error::StoreError;
use crate::tx::BrandTx;

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSkill {
    /// Ours.
    pub id: SkillId,
    /// Unique in the brand.
    pub name: String,
    /// Rises with each change.
    pub version: i64,
}

/// All skills of the brand by name, or the wanted one.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    wanted: Option<SkillId>,
) -> Result<Vec<StoredSkill>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "select id, name, version from skills where brand_id = $1 and ($2::uuid is null or id = $2) order by name, id",
    )
    .bind(brand.0)
    .bind(wanted.map(|id| id.0))
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, version)| StoredSkill {
            id: SkillId(id),
            name,
            version,
        })
        .collect())
}

/// Makes a skill. A name that is taken is refused by `skills_name_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn create(tx: &mut BrandTx, name: &str) -> Result<StoredSkill, StoreError> {
    let brand = tx.brand();
    let id = SkillId(Uuid::now_v7());
    sqlx::query("insert into skills (brand_id, id, name) values ($1, $2, $3)")
        .bind(brand.0)
        .bind(id.0)
        .bind(name)
        .execute(tx.conn())
        .await?;
    Ok(StoredSkill {
        id,
        name: name.to_owned(),
        version: 1,
    })
}

/// Locks a skill, against being given to anybody too.
async fn lock(
    tx: &mut BrandTx,
    id: SkillId,
    if_version: Option<i64>,
) -> Result<Changed<StoredSkill>, StoreError> {
    let brand = tx.brand();
    sqlx::query("select from skills where brand_id = $1 and id = $2 for update")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    let row = list(tx, Some(id)).await?.pop();
    Ok(expect_version(row, if_version, |row| row.version))
}

/// Renames a skill; answers how it was.
///
/// # Errors
/// When the database fails or `skills_name_key` refuses.
pub async fn rename(
    tx: &mut BrandTx,
    id: SkillId,
    name: &str,
    if_version: Option<i64>,
) -> Result<Changed<StoredSkill>, StoreError> {
    let brand = tx.brand();
    let before = lock(tx, id, if_version).await?;
    if matches!(before, Changed::Done(_)) {
        sqlx::query(
            "update skills set name = $3, version = version + 1 where brand_id = $1 and id = $2",
        )
        .bind(brand.0)
        .bind(id.0)
        .bind(name)
        .execute(tx.conn())
        .await?;
    }
    Ok(before)
}

/// What became of a wish to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone; this it was.
    Done(StoredSkill),
    /// There is none.
    Missing,
    /// So many members have it or conversations need it.
    InUse(i64),
}

/// Deletes a skill that nobody has and nothing needs.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: SkillId) -> Result<Deletion, StoreError> {
    let brand = tx.brand();
    let Changed::Done(before) = lock(tx, id, None).await? else {
        return Ok(Deletion::Missing);
    };
    let uses: i64 = sqlx::query_scalar(
        "select (select count(*) from member_skills where brand_id = $1 and skill_id = $2)
              + (select count(*) from conversation_skills where brand_id = $1 and skill_id = $2)",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    if uses > 0 {
        return Ok(Deletion::InUse(uses));
    }
    sqlx::query("delete from skills where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(Deletion::Done(before))
}

/// Replaces a member's skills by those with these names or ids; answers the names before and after, or
/// none where the brand doesn't know one.
pub(crate) async fn set(
    tx: &mut BrandTx,
    member: MemberId,
    wanted: &[String],
) -> Result<Option<(Vec<String>, Vec<String>)>, StoreError> {
    let brand = tx.brand();
    let known = list(tx, None).await?;
    let mut found: Vec<&StoredSkill> = Vec::new();
    for text in wanted {
        // A skill may be called like another one's id: the id is meant.
        let id: Option<SkillId> = text.parse().ok();
        let skill = known
            .iter()
            .find(|skill| Some(skill.id) == id)
            .or_else(|| known.iter().find(|skill| skill.name == *text));
        match skill {
            Some(skill) => found.push(skill),
            None => return Ok(None),
        }
    }
    let before: Vec<Uuid> = sqlx::query_scalar(
        "select skill_id from member_skills where brand_id = $1 and member_id = $2",
    )
    .bind(brand.0)
    .bind(member.0)
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<Uuid> = found.iter().map(|skill| skill.id.0).collect();
    sqlx::query(
        "delete from member_skills where brand_id = $1 and member_id = $2 and not skill_id = any ($3)",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into member_skills (brand_id, member_id, skill_id)
         select $1, $2, id from unnest($3::uuid[]) id on conflict do nothing",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    let names = |ids: &[Uuid]| -> Vec<String> {
        let here = known.iter().filter(|skill| ids.contains(&skill.id.0));
        here.map(|skill| skill.name.clone()).collect()
    };
    Ok(Some((names(&before), names(&ids))))
}

/// Gives a member skills, which are made where the brand doesn't know them.
///
/// # Errors
/// When the database fails.
pub async fn give(tx: &mut BrandTx, member: MemberId, names: &[&str]) -> Result<(), StoreError> {
    let brand = tx.brand();
    for name in names {
        sqlx::query(
            "insert into skills (brand_id, id, name) values ($1, $2, $3)
             on conflict on constraint skills_name_key do nothing",
        )
        .bind(brand.0)
        .bind(SkillId(Uuid::now_v7()).0)
        .bind(*name)
        .execute(tx.conn())
        .await?;
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    sqlx::query(
        "insert into member_skills (brand_id, member_id, skill_id)
         select brand_id, $2, id from skills where brand_id = $1 and name = any ($3) on conflict do nothing",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(names)
    .execute(tx.conn())
    .await?;
    Ok(())
}
