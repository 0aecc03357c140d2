//! Skills of members.

use roost_domain::ids::{MemberId, SkillId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::BrandTx;

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
