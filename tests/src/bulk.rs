//! A brand with very many conversations, made by a handful of statements.
//!
//! Spread evenly over the last year, newest first by number; what is unresolved is among the newest, as in
//! life. All of it depends on numbers alone, so that brands of any size have the same shape.

use jiff::{Timestamp, ToSpan as _};
use roost_domain::ids::ChannelId;
use roost_store::search;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::db::Brand;

/// How much there shall be.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Conversations, each of a customer of its own.
    pub conversations: i32,
    /// Messages of each.
    pub messages: i32,
}

/// Words of messages, the first ones far more often than the last.
const WORDS: &str = "the to and my you it please is not on thanks order account hello help with can when was have \
    refund delivery still late broken again card charged email number since yesterday package invoice password login \
    address cancel change wrong item size return label courier tracking update app crash screen payment failed twice \
    subscription renew upgrade downgrade coupon discount code expired gift birthday weekend monday store pickup \
    manager complaint apology patience urgent asap invoiceless warranty battery charger cable adapter manual";

/// Adds so many channels.
///
/// # Panics
/// When the database refuses.
pub async fn add_channels(owner: &mut PgConnection, brand: &Brand, count: usize) -> Vec<ChannelId> {
    let mut channels = Vec::new();
    for number in 0..count {
        let channel = ChannelId(Uuid::now_v7());
        let made = sqlx::query(
            "insert into channels (brand_id, id, platform, app, account_id, handle, name)
             values ($1, $2, 'x', 'main', $3, $3, $3)",
        );
        let made = made.bind(brand.id.0).bind(channel.0);
        let made = made.bind(format!("more{number}")).execute(&mut *owner);
        made.await.unwrap();
        channels.push(channel);
    }
    channels
}

/// Adds customers, conversations, messages, clocks, labels, an attribute and what all of them are found by.
/// The word `needle` stands in ten messages, whatever the size.
///
/// # Panics
/// When the database refuses.
pub async fn fill(owner: &mut PgConnection, brand: &Brand, channels: &[ChannelId], size: Size) {
    let of = brand.id.0;
    let channels: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
    let members: Vec<Uuid> = brand.members.iter().map(|id| id.0).collect();
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    // The codes of every stretch of time that a message may fall into.
    let (mut slices, mut codes) = (Vec::new(), Vec::new());
    let mut at = Timestamp::now() - (24 * 380).hours();
    while at < Timestamp::now() + 48.hours() {
        let (slice, code) = search::slice_and_code(brand.id, at);
        if slices.last() != Some(&slice) {
            slices.push(slice);
            codes.push(code);
        }
        at += 24.hours();
    }
    let n = size.conversations;
    let contacts = sqlx::query(CONTACTS).bind(of).bind(n);
    contacts.execute(&mut *owner).await.unwrap();
    let conversations = sqlx::query(CONVERSATIONS).bind(of).bind(n).bind(&channels);
    let conversations = conversations.bind(&members).bind(brand.team.0);
    conversations.execute(&mut *owner).await.unwrap();
    let clocks = sqlx::query(CLOCKS).bind(of).bind(n).bind(brand.policy.0);
    clocks.execute(&mut *owner).await.unwrap();
    for statement in [LABELS, ATTRIBUTES] {
        let rows = sqlx::query(statement).bind(of).bind(n);
        rows.execute(&mut *owner).await.unwrap();
    }
    // An index of terms is made at once in a fraction of the time that it takes to grow.
    let indexes: Vec<(String, String)> = sqlx::query_as(TERM_INDEXES)
        .fetch_all(&mut *owner)
        .await
        .unwrap();
    for (name, _) in &indexes {
        let drop = AssertSqlSafe(format!("drop index {name}"));
        sqlx::raw_sql(drop).execute(&mut *owner).await.unwrap();
    }
    let messages = sqlx::query(MESSAGES).bind(of).bind(n).bind(size.messages);
    let messages = messages
        .bind(&channels)
        .bind(&words)
        .bind(&slices)
        .bind(&codes);
    messages.execute(&mut *owner).await.unwrap();
    let stretches = sqlx::query(SLICES).bind(of);
    stretches.execute(&mut *owner).await.unwrap();
    let terms = sqlx::query(CONTACT_TERMS).bind(of);
    let terms = terms.bind(search::contact_code(brand.id));
    terms.execute(&mut *owner).await.unwrap();
    for (_, definition) in indexes {
        let make = sqlx::raw_sql(AssertSqlSafe(definition));
        make.execute(&mut *owner).await.unwrap();
    }
    sqlx::raw_sql("analyze").execute(owner).await.unwrap();
}

const TERM_INDEXES: &str = "
select indexname::text, indexdef from pg_indexes where indexname in ('message_terms_terms_idx', 'contact_terms_terms_idx')";

const CONTACTS: &str = "
with made as (
    insert into contacts (brand_id, id, name, handle)
    select $1, md5('contact' || n)::uuid,
           (array['Anna', 'Bo', 'Carla', 'Dmitri', 'Eva', 'Farid', 'Grete'])[1 + n % 7] || ' '
               || (array['Miller', 'Novak', 'Okafor', 'Petrov', 'Quist'])[1 + n % 5] || ' ' || n, 'user_' || n
    from generate_series(1, $2) n
)
insert into identities (brand_id, id, contact_id, platform, external_id)
select $1, md5('identity' || n)::uuid, md5('contact' || n)::uuid, 'x', n::text
from generate_series(1, $2) n";

const CONVERSATIONS: &str = "
insert into conversations (
    brand_id, id, channel_id, identity_id, contact_id, bucket, status, priority, team_id, assignee_id, last_seq, cycle,
    cycle_started_at, waiting_since, resolved_at, snoozed_until, opened_at, preview, last_message_at, has_failed_send,
    external_id, updated_at)
select $1, md5('conversation' || n)::uuid, ($3::uuid[])[1 + n % cardinality($3)], md5('identity' || n)::uuid,
       md5('contact' || n)::uuid, n % 256, status, (array['normal', 'normal', 'normal', 'low', 'high', 'normal', 'urgent'])[1 + n % 7],
       case when n % 9 > 0 then $5 end, case when n % 3 > 0 then ($4::uuid[])[1 + n % cardinality($4)] end, 20, 1, at,
       case when status = 'open' then at end, case when status = 'resolved' then at + interval '1 hour' end,
       case when status = 'snoozed' then now() + interval '1 day' end, at, 'thanks', at + interval '50 minutes',
       n % 150 = 0, case when n % 2 = 0 then 'CASE-' || n end, at + interval '1 hour'
from (
    select n, now() - interval '1 day' - n * (interval '365 days' / $2) as at,
           case when n > $2 / 50 then 'resolved' else (array['open', 'pending', 'open', 'snoozed'])[1 + n % 4] end as status
    from generate_series(1, $2) n
) made";

const CLOCKS: &str = "
insert into sla_clocks (
    brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, target_seconds, started_at,
    started_by, due_at, warn_at, warned_at, breached_at, settled_at)
select $1, md5('clock' || n)::uuid, c.id, 1, 'first_response', 0, case when c.status = 'open' then 'running' else 'met' end,
       $3, 3600, c.opened_at, c.id, c.opened_at + interval '30 days', c.opened_at + interval '20 days',
       case when c.status = 'open' and n % 3 = 0 then now() end, case when c.status = 'open' and n % 6 = 0 then now() end,
       case when c.status <> 'open' then c.opened_at + interval '5 minutes' end
from generate_series(1, $2) n
join conversations c on c.brand_id = $1 and c.id = md5('conversation' || n)::uuid";

/// One on every third, another on every 150th.
const LABELS: &str = "
with made as (
    insert into labels (brand_id, id, name, color)
    select $1, md5('label' || every)::uuid, 'every ' || every, '#112233' from unnest(array[3, 150]) every
    returning id, substr(name, 7)::int as every
)
insert into conversation_labels (brand_id, conversation_id, label_id)
select $1, md5('conversation' || n)::uuid, made.id from made cross join generate_series(1, $2) n
where n % made.every = 0";

/// `gold` on every 150th, `basic` on every second of the others.
const ATTRIBUTES: &str = "
with made as (
    insert into attribute_definitions (brand_id, id, subject, key, name, type, choices)
    values ($1, md5('attribute')::uuid, 'conversation', 'tier', 'Tier', 'choice', '{gold,basic}') returning id
)
insert into conversation_attributes (brand_id, conversation_id, definition_id, value)
select $1, md5('conversation' || n)::uuid, made.id, case when n % 150 = 0 then 'gold' else 'basic' end
from made cross join generate_series(1, $2) n
where n % 2 = 0";

/// Ten words each, picked by a hash; squared, so that the first ones are common.
const MESSAGES: &str = "
with written as materialized (
    select n, k, md5('message' || n || '-' || k)::uuid as id,
           now() - interval '1 day' - n * (interval '365 days' / $2) + k * interval '5 minutes' as at,
           array(select ($5::text[])[1 + floor(cardinality($5) * power((hashint8(n::bigint * 1000 + k * 50 + j)::bigint
                                                                       + 2147483648) / 4294967296.0, 3))::int]
                 from generate_series(1, 10) j)
               || case when k = 1 and (n * 10) % $2 < 10 then array['needle'] else '{}' end as words
    from generate_series(1, $2) n cross join generate_series(1, $3) k
), kept as (
    insert into messages (brand_id, id, conversation_id, channel_id, kind, author_type, text, order_at, stored_seq)
    select $1, id, md5('conversation' || n)::uuid, ($4::uuid[])[1 + n % cardinality($4)],
           case when k % 2 = 1 then 'inbound' else 'reply' end, case when k % 2 = 1 then 'contact' else 'member' end,
           array_to_string(words, ' '), at, k
    from written
)
insert into message_terms (brand_id, message_id, conversation_id, terms)
select $1, w.id, md5('conversation' || n)::uuid,
       array_to_tsvector(array(select distinct s.code || word from unnest(w.words) word))
from written w
join unnest($6::int[], $7::text[]) as s (slice, code)
  on s.slice = (extract(epoch from w.at) * 1000)::bigint >> 30";

const SLICES: &str = "
insert into search_slices (brand_id, slice)
select distinct $1::uuid, (extract(epoch from order_at) * 1000)::bigint >> 30 from messages
where brand_id = $1 on conflict do nothing";

const CONTACT_TERMS: &str = "
insert into contact_terms (brand_id, contact_id, terms)
select $1, p.id, array_to_tsvector(array(
    select distinct $2::text || term from (
        select lower(word) as term from regexp_split_to_table(p.name, ' ') word
        union all
        select substr(part, start) from unnest(array['user', p.external_id]) part, generate_series(1, length(part)) start
    ) terms))
from (select c.id, c.name, i.external_id from contacts c
      join identities i on i.brand_id = c.brand_id and i.contact_id = c.id
      where c.brand_id = $1) p";
