//! Which conversations a list holds.

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{
    AttributeId, ChannelId, ContactId, ConversationId, LabelId, MemberId, TeamId,
};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// How the earliest running clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlaState {
    /// Its warning has fired, its breach hasn't.
    AtRisk,
    /// Its breach has fired.
    Breached,
}

/// Values of an attribute, in their text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFilter {
    /// Which attribute.
    pub definition: AttributeId,
    /// Any of these.
    pub values: Vec<String>,
}

/// Values of one field are OR, fields are AND; an empty list asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    /// Who owes the next step.
    pub status: Vec<Status>,
    /// How urgent.
    pub priority: Vec<Priority>,
    /// Who has it; `None` is nobody.
    pub assignee: Vec<Option<MemberId>>,
    /// Whose queue; `None` is nobody's.
    pub team: Vec<Option<TeamId>>,
    /// Over which account.
    pub channel: Vec<ChannelId>,
    /// Whose.
    pub contact: Vec<ContactId>,
    /// With any of these labels.
    pub label: Vec<LabelId>,
    /// With a running clock that stands so.
    pub sla: Vec<SlaState>,
    /// By the brand's own names.
    pub external_id: Vec<String>,
    /// Each of them has one of its values.
    pub attributes: Vec<AttributeFilter>,
    /// Whether a reply failed and waits for a decision.
    pub has_failed_send: Option<bool>,
    /// Of these only: what a search found.
    pub found: Option<Vec<ConversationId>>,
    /// Not before.
    pub opened_after: Option<Timestamp>,
    /// Before.
    pub opened_before: Option<Timestamp>,
    /// Not before.
    pub updated_after: Option<Timestamp>,
    /// Before.
    pub updated_before: Option<Timestamp>,
    /// Resolved, and not before.
    pub resolved_after: Option<Timestamp>,
    /// Resolved before.
    pub resolved_before: Option<Timestamp>,
}

/// An attribute that conversations may have.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct FilterableAttribute {
    id: Uuid,
    /// Its name in the API.
    pub key: String,
    /// `text`, `number`, `boolean`, `date` or `choice`.
    pub r#type: String,
    /// Of type choice: what may be chosen.
    pub choices: Vec<String>,
}

impl FilterableAttribute {
    /// Which one.
    #[must_use]
    pub fn definition(&self) -> AttributeId {
        AttributeId(self.id)
    }
}

/// The brand's attributes of conversations with these keys.
///
/// # Errors
/// When the database fails.
pub async fn find_attributes(
    tx: &mut BrandTx,
    keys: &[&str],
) -> Result<Vec<FilterableAttribute>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select id, key, type, choices from attribute_definitions
         where brand_id = $1 and subject = 'conversation' and key = any ($2)",
    )
    .bind(brand.0)
    .bind(keys)
    .fetch_all(tx.conn())
    .await?)
}

impl ConversationFilter {
    /// Adds ` and …` for conversations that the statement calls `c`.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(found) = &self.found {
            let ids: Vec<Uuid> = found.iter().map(|id| id.0).collect();
            query.push(" and c.id = any (").push_bind(ids).push(")");
        }
        if !self.status.is_empty() {
            let names: Vec<&'static str> =
                self.status.iter().map(|status| status.as_str()).collect();
            query
                .push(" and c.status = any (")
                .push_bind(names)
                .push(")");
        }
        if !self.priority.is_empty() {
            let names: Vec<&'static str> = self
                .priority
                .iter()
                .map(|priority| priority.as_str())
                .collect();
            query
                .push(" and c.priority = any (")
                .push_bind(names)
                .push(")");
        }
        push_optional(
            query,
            "c.assignee_id",
            self.assignee.iter().map(|id| id.map(|id| id.0)),
        );
        push_optional(
            query,
            "c.team_id",
            self.team.iter().map(|id| id.map(|id| id.0)),
        );
        push_ids(query, "c.channel_id", self.channel.iter().map(|id| id.0));
        push_ids(query, "c.contact_id", self.contact.iter().map(|id| id.0));
        if !self.external_id.is_empty() {
            query
                .push(" and c.external_id = any (")
                .push_bind(self.external_id.clone())
                .push(")");
        }
        if let Some(failed) = self.has_failed_send {
            // Said as a constant, which an index of the few that failed can be matched with.
            query.push(if failed {
                " and c.has_failed_send"
            } else {
                " and not c.has_failed_send"
            });
        }
        self.push_rows(query);
        for (condition, at) in [
            (" and c.opened_at >= ", self.opened_after),
            (" and c.opened_at < ", self.opened_before),
            (" and c.updated_at >= ", self.updated_after),
            (" and c.updated_at < ", self.updated_before),
            (RESOLVED_AFTER, self.resolved_after),
            (RESOLVED_BEFORE, self.resolved_before),
        ] {
            if let Some(at) = at {
                query.push(condition).push_bind(Ts::from(at));
            }
        }
    }

    /// What stands in rows of other tables.
    fn push_rows(&self, query: &mut QueryBuilder<Postgres>) {
        if !self.label.is_empty() {
            let labels: Vec<Uuid> = self.label.iter().map(|id| id.0).collect();
            query
                .push(
                    " and exists (select from conversation_labels l
                                  where l.brand_id = c.brand_id and l.conversation_id = c.id and l.label_id = any (",
                )
                .push_bind(labels)
                .push("))");
        }
        for attribute in &self.attributes {
            let values = &attribute.values;
            query
                .push(
                    " and exists (select from conversation_attributes a
                                  where a.brand_id = c.brand_id and a.conversation_id = c.id and a.definition_id = ",
                )
                .push_bind(attribute.definition.0)
                .push(" and a.value_hash = any (array(select hashtextextended(v, 0) from unnest(")
                .push_bind(values.clone())
                .push("::text[]) v)) and a.value = any (")
                .push_bind(values.clone())
                .push("))");
        }
        let wants = |state| self.sla.contains(&state);
        let condition = match (wants(SlaState::AtRisk), wants(SlaState::Breached)) {
            (false, false) => return,
            (false, true) => BREACHED,
            (true, false) => AT_RISK,
            (true, true) => AT_RISK_OR_BREACHED,
        };
        query.push(condition);
    }
}

const RESOLVED_AFTER: &str = " and c.status = 'resolved' and c.resolved_at >= ";
const RESOLVED_BEFORE: &str = " and c.status = 'resolved' and c.resolved_at < ";

// A clock that is breached is due before those that aren't.
const BREACHED: &str = " and exists (
    select from sla_clocks s where s.brand_id = c.brand_id and s.conversation_id = c.id and s.state = 'running'
      and s.breached_at is not null)";
const AT_RISK: &str = " and exists (
    select from sla_clocks s where s.brand_id = c.brand_id and s.conversation_id = c.id and s.state = 'running'
      and s.warned_at is not null and s.breached_at is null)
    and not exists (
    select from sla_clocks s where s.brand_id = c.brand_id and s.conversation_id = c.id and s.state = 'running'
      and s.breached_at is not null)";
const AT_RISK_OR_BREACHED: &str = " and exists (
    select from sla_clocks s where s.brand_id = c.brand_id and s.conversation_id = c.id and s.state = 'running'
      and (s.warned_at is not null or s.breached_at is not null))";

fn push_ids(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    ids: impl Iterator<Item = Uuid>,
) {
    let ids: Vec<Uuid> = ids.collect();
    if !ids.is_empty() {
        query
            .push(" and ")
            .push(column)
            .push(" = any (")
            .push_bind(ids)
            .push(")");
    }
}

fn push_optional(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    ids: impl Iterator<Item = Option<Uuid>>,
) {
    let ids: Vec<Option<Uuid>> = ids.collect();
    if ids.is_empty() {
        return;
    }
    let some: Vec<Uuid> = ids.iter().copied().flatten().collect();
    query
        .push(" and (")
        .push(column)
        .push(" = any (")
        .push_bind(some)
        .push(")");
    if ids.contains(&None) {
        query.push(" or ").push(column).push(" is null");
    }
    query.push(")");
}
