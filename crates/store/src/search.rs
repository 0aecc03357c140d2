//! Full-text search: what messages and customers are found by, and finding them.
//!
//! Terms are made in Rust ([`roost_domain::terms`]) and kept beside the rows. Finding goes through named
//! functions (migrations/0094), because no full-text operator may use an index under a policy; what they
//! return are ids, which the caller reads under its policy and sight.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ContactId, ConversationId, MessageId};
use roost_domain::terms::{self, Term, Wanted};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::BrandTx;

/// Conversations that a search gives at most: those whose matching messages are newest.
pub const MOST_CONVERSATIONS: usize = 1_000;
/// Customers that a search gives at most.
pub const MOST_CONTACTS: i32 = 500;
/// Matching messages that are looked at in one stretch of time.
const MOST_MESSAGES: i32 = 2_000;
/// Stretches of time that one statement looks at, at most.
const MOST_SLICES: usize = 16;

/// A message to be found by its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Indexed<'a> {
    pub(crate) brand: Uuid,
    pub(crate) message: Uuid,
    pub(crate) conversation: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) text: &'a str,
}

/// A customer to be found by name and handle.
#[derive(Debug, Clone, Copy)]
pub struct NamedContact<'a> {
    /// Whose.
    pub brand: BrandId,
    /// Which.
    pub id: ContactId,
    /// The display name.
    pub name: &'a str,
    /// The handle without `@`.
    pub handle: Option<&'a str>,
}

/// A stretch of 2^30 ms, about twelve days. Counted from the epoch.
fn slice_of(at: Timestamp) -> i32 {
    i32::try_from(at.as_millisecond() >> 30).unwrap_or(0)
}

/// With what the lexemes of a brand and slice begin: 30 bits in five signs. That two brands share one
/// costs time and nothing else, for each statement asks for its brand as well.
fn code(brand: Uuid, slice: i32) -> String {
    const SIGNS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-";
    let [.., a, b, c, d] = *brand.as_bytes();
    let mixed = u32::from_be_bytes([a, b, c, d]) ^ slice.cast_unsigned().wrapping_mul(0x9E37_79B1);
    (0..5)
        .map(|place| {
            let index = usize::try_from((mixed >> (place * 6)) & 63).unwrap_or(0);
            char::from(SIGNS[index])
        })
        .collect()
}

/// Customers' terms are in no slice.
const NO_SLICE: i32 = 0;

/// For filling the tables in bulk: the slice of an instant, and with what its lexemes begin.
#[must_use]
pub fn slice_and_code(brand: BrandId, at: Timestamp) -> (i32, String) {
    let slice = slice_of(at);
    (slice, code(brand.0, slice))
}

/// For filling the tables in bulk: with what the lexemes of customers begin.
#[must_use]
pub fn contact_code(brand: BrandId) -> String {
    code(brand.0, NO_SLICE)
}

fn lexemes(code: &str, terms: &BTreeSet<String>) -> String {
    let lexemes: Vec<String> = terms.iter().map(|term| format!("{code}{term}")).collect();
    lexemes.join(" ")
}

/// Has messages found by their texts from this transaction's commit on. Once for each message.
pub(crate) async fn index_messages(
    connection: &mut PgConnection,
    messages: &[Indexed<'_>],
) -> Result<(), StoreError> {
    let rows: Vec<(&Indexed<'_>, BTreeSet<String>)> = messages
        .iter()
        .map(|message| (message, terms::of_text(message.text)))
        .filter(|(_, terms)| !terms.is_empty())
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let of =
        |get: fn(&Indexed<'_>) -> Uuid| rows.iter().map(|(row, _)| get(row)).collect::<Vec<_>>();
    let texts: Vec<String> = rows
        .iter()
        .map(|(row, terms)| lexemes(&code(row.brand, slice_of(row.at)), terms))
        .collect();
    let slices: Vec<i32> = rows.iter().map(|(row, _)| slice_of(row.at)).collect();
    sqlx::query(
        "with slices as (
             insert into search_slices (brand_id, slice)
             select distinct brand_id, slice from unnest($1::uuid[], $5::int[]) as t (brand_id, slice)
             order by brand_id, slice
             on conflict do nothing
         )
         insert into message_terms (brand_id, message_id, conversation_id, terms)
         select brand_id, message_id, conversation_id, array_to_tsvector(string_to_array(terms, ' '))
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) as t (brand_id, message_id, conversation_id, terms)",
    )
    .bind(of(|row| row.brand))
    .bind(of(|row| row.message))
    .bind(of(|row| row.conversation))
    .bind(texts)
    .bind(slices)
    .execute(connection)
    .await?;
    Ok(())
}

/// Has customers found by their present names and handles: whoever makes or renames one calls it in the
/// same transaction.
///
/// # Errors
/// When the database fails.
pub async fn index_contacts(
    connection: &mut PgConnection,
    contacts: &[NamedContact<'_>],
) -> Result<(), StoreError> {
    if contacts.is_empty() {
        return Ok(());
    }
    let brands: Vec<Uuid> = contacts.iter().map(|contact| contact.brand.0).collect();
    let ids: Vec<Uuid> = contacts.iter().map(|contact| contact.id.0).collect();
    let texts: Vec<String> = contacts
        .iter()
        .map(|contact| {
            let terms = terms::of_contact(contact.name, contact.handle);
            lexemes(&code(contact.brand.0, NO_SLICE), &terms)
        })
        .collect();
    sqlx::query(
        "insert into contact_terms as c (brand_id, contact_id, terms)
         select brand_id, contact_id, array_to_tsvector(string_to_array(terms, ' '))
         from unnest($1::uuid[], $2::uuid[], $3::text[]) as t (brand_id, contact_id, terms)
         order by brand_id, contact_id
         on conflict (brand_id, contact_id) do update set terms = excluded.terms where c.terms <> excluded.terms",
    )
    .bind(brands)
    .bind(ids)
    .bind(texts)
    .execute(connection)
    .await?;
    Ok(())
}

/// Has messages found no more: their texts were erased.
///
/// # Errors
/// When the database fails.
pub async fn forget_messages(tx: &mut BrandTx, ids: &[MessageId]) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query("delete from message_terms where brand_id = $1 and message_id = any ($2)")
        .bind(brand.0)
        .bind(ids)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Has a customer found no more, nor who was merged into them, nor any message of their conversations.
///
/// # Errors
/// When the database fails.
pub async fn forget_contact(tx: &mut BrandTx, id: ContactId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "with messages_of as (
             select m.id from conversations c
             join messages m on m.brand_id = c.brand_id and m.conversation_id = c.id
             where c.brand_id = $1 and c.contact_id = $2
         ), texts as (
             delete from message_terms where brand_id = $1 and message_id in (select id from messages_of)
         )
         delete from contact_terms where brand_id = $1
           and (contact_id = $2 or contact_id in (
               select p.id from contacts p where p.brand_id = $1 and p.merged_into = $2))",
    )
    .bind(brand.0)
    .bind(id.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Conversations in which one message has all the terms, or whose customer's name and handle do. Out of
/// many, those with the newest such messages; in no order. Sight is the caller's to apply.
///
/// # Errors
/// When the database fails.
pub async fn conversations(
    tx: &mut BrandTx,
    wanted: &Wanted,
) -> Result<BTreeSet<ConversationId>, StoreError> {
    let brand = tx.brand();
    let slices: Vec<i32> = sqlx::query_scalar(
        "select slice from search_slices where brand_id = $1 order by slice desc",
    )
    .bind(brand.0)
    .fetch_all(tx.conn())
    .await?;
    let mut found = BTreeSet::new();
    let mut rest = slices.as_slice();
    let mut step = 1;
    // Newest first, ever longer: what is common is found at once, what is rare in few statements.
    while !rest.is_empty() && found.len() < MOST_CONVERSATIONS {
        let (these, later) = rest.split_at(step.min(rest.len()));
        let any: Vec<String> = these
            .iter()
            .map(|slice| all_of(&code(brand.0, *slice), wanted, |term| term.begins))
            .collect();
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "select conversation_id from search_messages($1, $2::text::tsquery, $3)",
        )
        .bind(brand.0)
        .bind(any.join(" | "))
        .bind(MOST_MESSAGES)
        .fetch_all(tx.conn())
        .await?;
        let left = MOST_CONVERSATIONS - found.len();
        found.extend(ids.into_iter().take(left).map(ConversationId));
        rest = later;
        step = (step * 2).min(MOST_SLICES);
    }
    found.extend(of_contacts(tx, wanted).await?);
    Ok(found)
}

/// The newest conversations of the customers whose name or handle has the terms.
async fn of_contacts(tx: &mut BrandTx, wanted: &Wanted) -> Result<Vec<ConversationId>, StoreError> {
    let contacts: Vec<Uuid> = contacts(tx, wanted).await?.iter().map(|id| id.0).collect();
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and contact_id = any ($2)
         order by opened_at desc, id desc limit $3",
    )
    .persistent(false)
    .bind(brand.0)
    .bind(contacts)
    .bind(i64::try_from(MOST_CONVERSATIONS).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(ConversationId).collect())
}

/// Customers whose name or handle has all the terms, each as the beginning of a word or as any part of a
/// handle's word; out of many some.
///
/// # Errors
/// When the database fails.
pub async fn contacts(tx: &mut BrandTx, wanted: &Wanted) -> Result<Vec<ContactId>, StoreError> {
    let brand = tx.brand();
    let query = all_of(&code(brand.0, NO_SLICE), wanted, |term| {
        term.begins || term.begins_name
    });
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select contact_id from search_contacts($1, $2::text::tsquery, $3)")
            .bind(brand.0)
            .bind(query)
            .bind(MOST_CONTACTS)
            .fetch_all(tx.conn())
            .await?;
    Ok(ids.into_iter().map(ContactId).collect())
}

/// A tsquery for all terms in one slice. Terms hold letters, digits and pictures only, so that none needs
/// escaping within its quotes.
fn all_of(code: &str, wanted: &Wanted, begins: impl Fn(&Term) -> bool) -> String {
    let mut query = String::from("(");
    for (index, term) in wanted.terms().iter().enumerate() {
        let and = if index > 0 { " & " } else { "" };
        let star = if begins(term) { ":*" } else { "" };
        // Writing into a text can't fail.
        write!(query, "{and}'{code}{}'{star}", term.text).ok();
    }
    query.push(')');
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brands_and_stretches_of_time_have_codes_of_their_own() {
        let (ours, theirs) = (Uuid::now_v7(), Uuid::new_v4());
        assert_eq!(code(ours, 1_500), code(ours, 1_500));
        assert_ne!(code(ours, 1_500), code(ours, 1_501));
        assert_ne!(code(ours, 1_500), code(theirs, 1_500));
        assert!(!code(ours, 7).contains(['\'', ' ', ':']));
    }

    #[test]
    fn a_query_asks_for_all_its_terms() {
        let wanted = Wanted::parse("where refu").unwrap();
        assert_eq!(
            all_of("x", &wanted, |term| term.begins),
            "('xwhere' & 'xrefu':*)"
        );
    }
}
