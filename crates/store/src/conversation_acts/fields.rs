//! What a brand adds to a conversation: labels, skills, attributes, its own name for it.

use std::collections::{BTreeMap, BTreeSet};

use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, LabelId, SkillId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::attributes::{self, Fault, Kind, Subject};
use crate::error::StoreError;
use crate::ledger::{Cause, Ledger};
use crate::tx::BrandTx;

/// A wanted change of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChange {
    /// These and no others.
    Set(BTreeSet<LabelId>),
    /// Some more, some less: two writers don't undo each other.
    Edit {
        /// To be there.
        add: BTreeSet<LabelId>,
        /// Not to be there.
        remove: BTreeSet<LabelId>,
    },
}

/// A wanted change; what is none or empty stays.
#[derive(Debug, Clone, Default)]
pub struct FieldChange {
    /// Its labels.
    pub labels: Option<LabelChange>,
    /// The names of the skills that it wants, first things first.
    pub skills: Option<Vec<String>>,
    /// Values by the key of their definition; null takes one away.
    pub attributes: BTreeMap<String, Value>,
    /// The brand's own name for it; the inner none takes it away.
    pub external_id: Option<Option<String>>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldRefusal {
    /// The brand has no such label.
    UnknownLabel(LabelId),
    /// The brand has no skill of that name.
    UnknownSkill(String),
    /// Keys that the brand has not defined, and values that don't fit, each with the reason.
    Attributes(Vec<(String, String)>),
}

/// Changes the fields of a conversation that the ledger holds.
///
/// # Errors
/// When the database fails.
pub(super) async fn apply(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    id: ConversationId,
    change: &FieldChange,
    cause: &Cause,
) -> Result<Result<(), FieldRefusal>, StoreError> {
    if let Some(labels) = &change.labels
        && let Err(refusal) = set_labels(tx, ledger, id, labels, cause).await?
    {
        return Ok(Err(refusal));
    }
    if let Some(names) = &change.skills
        && let Err(refusal) = set_skills(tx, ledger, id, names, cause).await?
    {
        return Ok(Err(refusal));
    }
    if !change.attributes.is_empty()
        && let Err(refusal) = set_attributes(tx, ledger, id, &change.attributes, cause).await?
    {
        return Ok(Err(refusal));
    }
    if let Some(name) = &change.external_id {
        set_external_id(tx, ledger, id, name.as_deref(), cause).await?;
    }
    Ok(Ok(()))
}

async fn set_labels(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    id: ConversationId,
    change: &LabelChange,
    cause: &Cause,
) -> Result<Result<(), FieldRefusal>, StoreError> {
    let brand = tx.brand();
    let before: Vec<Uuid> = sqlx::query_scalar(
        "select label_id from conversation_labels where brand_id = $1 and conversation_id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let before: BTreeSet<LabelId> = before.into_iter().map(LabelId).collect();
    let after: BTreeSet<LabelId> = match change {
        LabelChange::Set(wanted) => wanted.clone(),
        LabelChange::Edit { add, remove } => before
            .union(add)
            .filter(|label| !remove.contains(label))
            .copied()
            .collect(),
    };
    let added: Vec<Uuid> = after.difference(&before).map(|label| label.0).collect();
    let removed: Vec<Uuid> = before.difference(&after).map(|label| label.0).collect();
    if added.is_empty() && removed.is_empty() {
        return Ok(Ok(()));
    }
    // Held, so that none of them is deleted meanwhile.
    let known: Vec<Uuid> = sqlx::query_scalar(
        "select id from labels where brand_id = $1 and id = any ($2) order by id for key share",
    )
    .bind(brand.0)
    .bind(&added)
    .fetch_all(tx.conn())
    .await?;
    if let Some(unknown) = added.iter().find(|label| !known.contains(label)) {
        return Ok(Err(FieldRefusal::UnknownLabel(LabelId(*unknown))));
    }
    sqlx::query(
        "delete from conversation_labels where brand_id = $1 and conversation_id = $2 and label_id = any ($3)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(removed)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into conversation_labels (brand_id, conversation_id, label_id) select $1, $2, unnest($3::uuid[])",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(added)
    .execute(tx.conn())
    .await?;
    let changed = json!({ "labels": [before, after] });
    ledger.set_fields(id, EventType::ConversationLabelsChanged, changed, cause);
    ledger.relabel(id, after.into_iter().collect(), cause);
    Ok(Ok(()))
}

async fn set_skills(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    id: ConversationId,
    names: &[String],
    cause: &Cause,
) -> Result<Result<(), FieldRefusal>, StoreError> {
    let brand = tx.brand();
    let before: Vec<String> = sqlx::query_scalar(
        "select s.name from conversation_skills w
         join skills s on s.brand_id = w.brand_id and s.id = w.skill_id
         where w.brand_id = $1 and w.conversation_id = $2 order by w.ordinal",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    if before == names {
        return Ok(Ok(()));
    }
    let known: Vec<(Uuid, String)> = sqlx::query_as(
        "select id, name from skills where brand_id = $1 and name = any ($2) order by id for key share",
    )
    .bind(brand.0)
    .bind(names)
    .fetch_all(tx.conn())
    .await?;
    let mut ids: Vec<Uuid> = Vec::new();
    for name in names {
        let Some((skill, _)) = known.iter().find(|(_, known)| known == name) else {
            return Ok(Err(FieldRefusal::UnknownSkill(name.clone())));
        };
        ids.push(SkillId(*skill).0);
    }
    sqlx::query("delete from conversation_skills where brand_id = $1 and conversation_id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "insert into conversation_skills (brand_id, conversation_id, skill_id, ordinal)
         select $1, $2, skill, ordinal from unnest($3::uuid[]) with ordinality as t (skill, ordinal)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(ids)
    .execute(tx.conn())
    .await?;
    let changed = json!({ "skills": [before, names] });
    ledger.set_fields(id, EventType::ConversationSkillsChanged, changed, cause);
    Ok(Ok(()))
}

async fn set_attributes(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    id: ConversationId,
    wanted: &BTreeMap<String, Value>,
    cause: &Cause,
) -> Result<Result<(), FieldRefusal>, StoreError> {
    let wanted = attributes::read(tx, Subject::Conversation, wanted).await?;
    if !wanted.faults.is_empty() {
        let told = wanted.faults.into_iter().map(|(key, fault)| match fault {
            Fault::Undefined => (key, "is not defined for conversations".to_owned()),
            Fault::Invalid(reason) => (key, reason),
        });
        return Ok(Err(FieldRefusal::Attributes(told.collect())));
    }
    let before = attributes::of_conversations(tx, &[id]).await?.remove(&id);
    if attributes::set_of_conversation(tx, id, &wanted.values).await? {
        let after = attributes::of_conversations(tx, &[id]).await?.remove(&id);
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let mut changed = Map::new();
        for definition in wanted.definitions {
            let key = &definition.key;
            let pair = [before.get(key), after.get(key)];
            if pair[0] == pair[1] {
                continue;
            }
            // A text may be personal, and the log keeps nothing personal.
            let told = match definition.kind {
                Kind::Text => json!([null, null]),
                Kind::Number | Kind::Boolean | Kind::Date | Kind::Choice => json!(pair),
            };
            changed.insert(format!("attributes.{key}"), told);
        }
        let kind = EventType::ConversationAttributesChanged;
        ledger.set_fields(id, kind, Value::Object(changed), cause);
    }
    Ok(Ok(()))
}

async fn set_external_id(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    id: ConversationId,
    name: Option<&str>,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let before: Option<Option<String>> =
        sqlx::query_scalar("select external_id from conversations where brand_id = $1 and id = $2")
            .bind(brand.0)
            .bind(id.0)
            .fetch_optional(tx.conn())
            .await?;
    let before = before.flatten();
    if before.as_deref() == name {
        return Ok(());
    }
    sqlx::query("update conversations set external_id = $3 where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .bind(name)
        .execute(tx.conn())
        .await?;
    let changed = json!({ "external_id": [before, name] });
    ledger.set_fields(id, EventType::ConversationAttributesChanged, changed, cause);
    Ok(())
}
