//! In which order a list is, and where a page of it begins.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ConversationId};
use sqlx::{Postgres, QueryBuilder};

use super::ConversationFilter;
use crate::ts::Ts;
use crate::visibility::Visibility;

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

    /// Where those that have the value are, what it is, its row's conversation, and what the others lack.
    fn source(self) -> Source {
        match self {
            Self::LastMessageAt => Source::always("coalesce(c.last_message_at, c.opened_at)"),
            Self::OpenedAt => Source::always("c.opened_at"),
            Self::UpdatedAt => Source::always("c.updated_at"),
            Self::WaitingSince => Source {
                from: "conversations c",
                at: "c.waiting_since",
                id: "c.id",
                present: " and c.waiting_since is not null",
                absent: Some(" and c.waiting_since is null"),
            },
            // From the clocks, in the order of their index; of several running ones the first due counts.
            Self::NextDueAt => Source {
                from: "sla_clocks k join conversations c on c.brand_id = k.brand_id and c.id = k.conversation_id",
                at: "k.due_at",
                id: "k.conversation_id",
                present: " and k.state = 'running' and k.brand_id = c.brand_id and not exists (
                    select from sla_clocks e
                    where e.brand_id = k.brand_id and e.conversation_id = k.conversation_id and e.state = 'running'
                      and (e.due_at, e.id) < (k.due_at, k.id))",
                absent: Some(
                    " and not exists (
                    select from sla_clocks k
                    where k.brand_id = c.brand_id and k.conversation_id = c.id and k.state = 'running')",
                ),
            },
        }
    }
}

struct Source {
    from: &'static str,
    at: &'static str,
    id: &'static str,
    present: &'static str,
    absent: Option<&'static str>,
}

impl Source {
    fn always(at: &'static str) -> Self {
        Self {
            from: "conversations c",
            at,
            id: "c.id",
            present: "",
            absent: None,
        }
    }
}

/// The order of a list; ties go by id, and those without the value come last, whichever way.
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
    /// Adds the common table `page` of (id, at, part): the rows with a value in their order, then, where
    /// the page has room left, those without by their ids.
    pub(super) fn push(
        &self,
        query: &mut QueryBuilder<Postgres>,
        brand: BrandId,
        filter: &ConversationFilter,
        visibility: &Visibility,
    ) {
        let source = self.sort.field.source();
        let begin = |query: &mut QueryBuilder<Postgres>, from: &'static str| {
            query.push(" from ").push(from).push(" where c.brand_id = ");
            query.push_bind(brand.0);
            filter.push(query);
            visibility.push(query);
        };
        let (beyond, order) = if self.sort.descending {
            (" < ", " desc")
        } else {
            (" > ", "")
        };
        query.push("present as (select c.id, ").push(source.at);
        query.push(" as at, 0 as part");
        begin(query, source.from);
        query.push(source.present);
        match self.after {
            Some(ListKey { at: Some(at), id }) => {
                query.push(" and (").push(source.at).push(", ");
                query.push(source.id).push(")").push(beyond).push("(");
                query.push_bind(Ts::from(at)).push(", ");
                query.push_bind(id.0).push(")");
            }
            // Those with a value are through.
            Some(ListKey { at: None, .. }) => {
                query.push(" and false");
            }
            None => {}
        }
        query.push(" order by ").push(source.at).push(order);
        query.push(", ").push(source.id).push(order);
        query.push(" limit ").push_bind(self.limit).push(")");
        let Some(absent) = source.absent else {
            query.push(", page as (select id, at, part from present)");
            return;
        };
        query.push(", absent as (select c.id, null::timestamptz as at, 1 as part");
        begin(query, "conversations c");
        query.push(absent);
        if let Some(ListKey { at: None, id }) = self.after {
            query.push(" and c.id").push(beyond).push_bind(id.0);
        }
        query.push(" order by c.id").push(order);
        query.push(" limit ").push_bind(self.limit);
        // The last limit cuts nothing off. It tells the planner what it can't see in the sum.
        query.push(
            " - (select count(*) from present)),
             page as (select id, at, part from present union all select id, at, part from absent limit ",
        );
        query.push_bind(self.limit).push(")");
    }

    /// Adds the order of the rows that were joined to `page`.
    pub(super) fn push_order(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(if self.sort.descending {
            " order by page.part, page.at desc, page.id desc"
        } else {
            " order by page.part, page.at, page.id"
        });
    }
}
