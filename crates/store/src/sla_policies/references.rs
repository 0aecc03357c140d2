//! What policies name, and who is named by them.

use std::collections::BTreeSet;

use roost_domain::ids::{CalendarId, LabelId, TeamId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::BrandTx;

/// Where a policy's ids point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// At channels.
    Channels,
    /// At teams.
    Teams,
    /// At labels.
    Labels,
    /// At calendars.
    Calendars,
}

/// Those of these ids that are the brand's, held until the end of the transaction: nobody deletes one of
/// them while a policy that names it is being written.
///
/// # Errors
/// When the database fails.
pub async fn hold(
    tx: &mut BrandTx,
    table: Table,
    ids: &[Uuid],
) -> Result<BTreeSet<Uuid>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let brand = tx.brand();
    let statement = match table {
        Table::Channels => {
            "select id from channels where brand_id = $1 and id = any ($2) order by id for key share"
        }
        Table::Teams => {
            "select id from teams where brand_id = $1 and id = any ($2) order by id for key share"
        }
        Table::Labels => {
            "select id from labels where brand_id = $1 and id = any ($2) order by id for key share"
        }
        // Taken away by an update, which a key share doesn't stop.
        Table::Calendars => {
            "select id from calendars where brand_id = $1 and id = any ($2) and deleted_at is null
             order by id for share"
        }
    };
    let known: Vec<Uuid> = sqlx::query_scalar(statement)
        .bind(brand.0)
        .bind(ids)
        .fetch_all(tx.conn())
        .await?;
    Ok(known.into_iter().collect())
}

/// What a policy may name.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// As whose open hours count.
    Calendar(CalendarId),
    /// In a condition, or as where a conversation goes.
    Team(TeamId),
    /// In a condition.
    Label(LabelId),
    /// In a condition: the key of a contact's attribute.
    ContactAttribute(&'a str),
}

/// How many present policies name something.
///
/// # Errors
/// When the database fails.
pub async fn count_naming(tx: &mut BrandTx, what: Named<'_>) -> Result<i64, StoreError> {
    let brand = tx.brand();
    let (statement, text) = match what {
        Named::Calendar(id) => (
            "select count(*) from sla_policies where brand_id = $1 and deleted_at is null
               and jsonb_path_exists(spec, '$.*.calendar_id ? (@ == $id)', jsonb_build_object('id', $2::text))",
            id.to_string(),
        ),
        Named::Team(id) => (
            "select count(*) from sla_policies where brand_id = $1 and deleted_at is null
               and (spec #> '{conditions,team_ids}' ? $2
                    or jsonb_path_exists(spec, '$.**.team_id ? (@ == $id)', jsonb_build_object('id', $2::text)))",
            id.to_string(),
        ),
        Named::Label(id) => (
            "select count(*) from sla_policies where brand_id = $1 and deleted_at is null
               and spec #> '{conditions,label_ids}' ? $2",
            id.to_string(),
        ),
        Named::ContactAttribute(key) => (
            "select count(*) from sla_policies where brand_id = $1 and deleted_at is null
               and spec #> '{conditions,contact_attributes}' ? $2",
            key.to_owned(),
        ),
    };
    Ok(sqlx::query_scalar(statement)
        .bind(brand.0)
        .bind(text)
        .fetch_one(tx.conn())
        .await?)
}
