//! Custom attributes: their definitions, their values of conversations and contacts.

mod read;
mod value;
mod values;

use jiff::Timestamp;
use roost_domain::ids::AttributeId;
use uuid::Uuid;

use crate::changed::{Changed, expect_version};
use crate::deleted::Deleted;
use crate::error::StoreError;
use crate::ledger::parse;
use crate::sla_policies::{Named, count_naming};
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use read::{Fault, Wanted, read};
pub use value::{Kind, Subject, from_query, shown, validate};
pub use values::{of_contacts, of_conversations, set_of_contact, set_of_conversation};

/// What an attribute may be.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Ours.
    pub id: AttributeId,
    /// Whose attribute.
    pub subject: Subject,
    /// Its name in JSON; unique for its subject, never changes.
    pub key: String,
    /// What members call it.
    pub name: String,
    /// Never changes.
    pub kind: Kind,
    /// Of a choice: what may be chosen, in order.
    pub choices: Vec<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    subject: String,
    key: String,
    name: String,
    r#type: String,
    choices: Vec<String>,
    version: i64,
    created_at: Ts,
}

impl TryFrom<Row> for Definition {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: AttributeId(row.id),
            subject: parse(&row.subject)?,
            key: row.key,
            name: row.name,
            kind: parse(&row.r#type)?,
            choices: row.choices,
            version: row.version,
            created_at: row.created_at.get(),
        })
    }
}

/// A page of definitions by key, then id; of one subject or of both.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    subject: Option<Subject>,
    after: Option<(&str, AttributeId)>,
    limit: i64,
) -> Result<Vec<Definition>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, subject, key, name, type, choices, version, created_at from attribute_definitions
         where brand_id = $1 and ($2::text is null or subject = $2)
           and ($3::text is null or (key, id) > ($3, $4))
         order by key, id limit $5",
    )
    .bind(brand.0)
    .bind(subject.map(Subject::as_str))
    .bind(after.map(|(key, _)| key))
    .bind(after.map(|(_, id)| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// One definition.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: AttributeId) -> Result<Option<Definition>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, subject, key, name, type, choices, version, created_at from attribute_definitions
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The definitions of these keys, held until the end of the transaction: nobody removes a choice or
/// deletes a definition while values of it are being written. Unknown keys are simply not there.
///
/// # Errors
/// When the database fails.
pub async fn hold(
    tx: &mut BrandTx,
    subject: Subject,
    keys: &[String],
) -> Result<Vec<Definition>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, subject, key, name, type, choices, version, created_at from attribute_definitions
         where brand_id = $1 and subject = $2 and key = any ($3) order by id for key share",
    )
    .bind(brand.0)
    .bind(subject.as_str())
    .bind(keys)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A definition to be made.
#[derive(Debug, Clone)]
pub struct NewDefinition {
    /// Whose attribute.
    pub subject: Subject,
    /// Its name in JSON.
    pub key: String,
    /// What members call it.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Of a choice: what may be chosen.
    pub choices: Vec<String>,
}

/// Makes a definition; a key that is taken is refused by `attribute_definitions_key_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn create(tx: &mut BrandTx, new: &NewDefinition) -> Result<AttributeId, StoreError> {
    let brand = tx.brand();
    let id = AttributeId(Uuid::now_v7());
    sqlx::query(
        "insert into attribute_definitions (brand_id, id, subject, key, name, type, choices)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(new.subject.as_str())
    .bind(&new.key)
    .bind(&new.name)
    .bind(new.kind.as_str())
    .bind(&new.choices)
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct DefinitionChange {
    /// What members call it.
    pub name: Option<String>,
    /// All choices, in order.
    pub choices: Option<Vec<String>>,
    /// Only if the definition still has this version.
    pub if_version: Option<i64>,
}

/// What came of changing a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionOutcome {
    /// As with everything else.
    Plain(Changed<()>),
    /// A choice that is taken away is the value of so many conversations and contacts.
    ChoiceInUse {
        /// The first of them.
        choice: String,
        /// How many have it.
        count: i64,
    },
    /// It has no choices, not being one.
    NoChoice,
}

/// Changes a definition.
///
/// # Errors
/// When the database fails.
pub async fn change(
    tx: &mut BrandTx,
    id: AttributeId,
    change: &DefinitionChange,
) -> Result<DefinitionOutcome, StoreError> {
    let brand = tx.brand();
    let held = lock(tx, id).await?;
    let before = match expect_version(held, change.if_version, |before| before.version) {
        Changed::Done(before) => before,
        Changed::Missing => return Ok(DefinitionOutcome::Plain(Changed::Missing)),
        Changed::Stale { version } => {
            return Ok(DefinitionOutcome::Plain(Changed::Stale { version }));
        }
    };
    if let Some(choices) = &change.choices {
        if before.kind != Kind::Choice {
            return Ok(DefinitionOutcome::NoChoice);
        }
        for choice in before.choices.iter().filter(|one| !choices.contains(one)) {
            let count = count_values(tx, id, Some(choice)).await?;
            if count > 0 {
                let choice = choice.clone();
                return Ok(DefinitionOutcome::ChoiceInUse { choice, count });
            }
        }
    }
    sqlx::query(
        "update attribute_definitions
         set name = coalesce($3, name), choices = coalesce($4, choices), version = version + 1
         where brand_id = $1 and id = $2
           and (name, choices) is distinct from (coalesce($3, name), coalesce($4, choices))",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(&change.choices)
    .execute(tx.conn())
    .await?;
    Ok(DefinitionOutcome::Plain(Changed::Done(())))
}

/// Deletes a definition that has no values and that no SLA policy names.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: AttributeId) -> Result<Deleted, StoreError> {
    let brand = tx.brand();
    let Some(definition) = lock(tx, id).await? else {
        return Ok(Deleted::Missing);
    };
    let mut count = count_values(tx, id, None).await?;
    if definition.subject == Subject::Contact {
        count += count_naming(tx, Named::ContactAttribute(&definition.key)).await?;
    }
    if count > 0 {
        return Ok(Deleted::InUse { count });
    }
    sqlx::query("delete from attribute_definitions where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(Deleted::Done)
}

async fn lock(tx: &mut BrandTx, id: AttributeId) -> Result<Option<Definition>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, subject, key, name, type, choices, version, created_at from attribute_definitions
         where brand_id = $1 and id = $2 for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    row.map(TryInto::try_into).transpose()
}

async fn count_values(
    tx: &mut BrandTx,
    id: AttributeId,
    value: Option<&String>,
) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select (select count(*) from conversation_attributes
                 where brand_id = $1 and definition_id = $2 and ($3::text is null or value = $3))
              + (select count(*) from contact_attributes
                 where brand_id = $1 and definition_id = $2 and ($3::text is null or value = $3))",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(value)
    .fetch_one(tx.conn())
    .await?)
}
