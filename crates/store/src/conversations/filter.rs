//! Which conversations a list holds, in which order, and where a page begins.

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ChannelId, ContactId, ConversationId, MemberId, TeamId};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::StoredConversation;
use crate::ts::Ts;

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
    /// Whether a reply failed and waits for a decision.
    pub has_failed_send: Option<bool>,
    /// Not before.
    pub opened_after: Option<Timestamp>,
    /// Before.
    pub opened_before: Option<Timestamp>,
    /// Not before.
    pub updated_after: Option<Timestamp>,
    /// Before.
    pub updated_before: Option<Timestamp>,
}

impl ConversationFilter {
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>) {
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
        if let Some(failed) = self.has_failed_send {
            query.push(" and c.has_failed_send = ").push_bind(failed);
        }
        for (condition, at) in [
            (" and c.opened_at >= ", self.opened_after),
            (" and c.opened_at < ", self.opened_before),
            (" and c.updated_at >= ", self.updated_after),
            (" and c.updated_at < ", self.updated_before),
        ] {
            if let Some(at) = at {
                query.push(condition).push_bind(Ts::from(at));
            }
        }
    }
}

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

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// Newest message.
    LastMessageAt,
    /// Oldest unanswered customer message.
    WaitingSince,
    /// The message that began it: the one order in which nothing moves.
    OpenedAt,
    /// Last change of any kind.
    UpdatedAt,
    /// The running clock's due instant.
    NextDueAt,
}

impl SortField {
    const ALL: [(Self, &'static str); 5] = [
        (Self::LastMessageAt, "last_message_at"),
        (Self::WaitingSince, "waiting_since"),
        (Self::OpenedAt, "opened_at"),
        (Self::UpdatedAt, "updated_at"),
        (Self::NextDueAt, "next_due_at"),
    ];

    /// The field of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == name)
            .map(|(field, _)| field)
    }

    /// What is compared; none sorts last in either direction.
    fn expression(self, descending: bool) -> &'static str {
        match (self, descending) {
            (Self::LastMessageAt, _) => "coalesce(c.last_message_at, c.opened_at)",
            (Self::OpenedAt, _) => "c.opened_at",
            (Self::UpdatedAt, _) => "c.updated_at",
            (Self::WaitingSince, false) => "coalesce(c.waiting_since, 'infinity'::timestamptz)",
            (Self::WaitingSince, true) => "coalesce(c.waiting_since, '-infinity'::timestamptz)",
            (Self::NextDueAt, false) => "coalesce(k.due_at, 'infinity'::timestamptz)",
            (Self::NextDueAt, true) => "coalesce(k.due_at, '-infinity'::timestamptz)",
        }
    }
}

/// The order of a list; ties go by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub field: SortField,
    /// Newest first.
    pub descending: bool,
}

/// Where a page begins: after this conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListKey {
    /// The value that it was sorted by; none where it has none.
    pub at: Option<Timestamp>,
    /// Which one.
    pub id: ConversationId,
}

impl ListKey {
    /// The key of a row in a list of this order.
    #[must_use]
    pub fn of(row: &StoredConversation, sort: Sort) -> Self {
        let at = match sort.field {
            SortField::LastMessageAt => row.last_message_at.or(Some(row.opened_at)),
            SortField::WaitingSince => row.waiting_since,
            SortField::OpenedAt => Some(row.opened_at),
            SortField::UpdatedAt => Some(row.updated_at),
            SortField::NextDueAt => row.clock.as_ref().map(|clock| clock.due_at),
        };
        Self { at, id: row.id }
    }
}

/// One page.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// In which order.
    pub sort: Sort,
    /// After which row.
    pub after: Option<ListKey>,
    /// How many rows at most.
    pub limit: i64,
}

impl Page {
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>) {
        let descending = self.sort.descending;
        let expression = self.sort.field.expression(descending);
        let (beyond, order, absent) = if descending {
            (" < ", " desc", "'-infinity'")
        } else {
            (" > ", "", "'infinity'")
        };
        if let Some(key) = self.after {
            query
                .push(" and (")
                .push(expression)
                .push(", c.id)")
                .push(beyond)
                .push("(");
            match key.at {
                Some(at) => query.push_bind(Ts::from(at)),
                None => query.push(absent).push("::timestamptz"),
            };
            query.push(", ").push_bind(key.id.0).push(")");
        }
        query.push(" order by ").push(expression).push(order);
        query.push(", c.id").push(order);
        query.push(" limit ").push_bind(self.limit);
    }
}
