//! The second ceiling: the same rows, group-committed by a loop that does nothing else.
//!
//! Message, conversation and event, by three set-based statements a transaction, as the owner. The
//! tables are the product's own, with their keys and indexes.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use roost_store::Ts;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::acks::service_ports;
use crate::bodies::{Place, Workload};
use crate::cpu::{Parts, Spent};
use crate::house::House;
use crate::load::per_second;

/// Connections that write side by side.
const CONNECTIONS: usize = 4;
/// Messages of one transaction.
const BATCH: usize = 500;

/// One measurement.
#[derive(Debug)]
pub(crate) struct Ceiling {
    /// Messages a second, each with its event and its share of a conversation's upsert.
    pub(crate) rate: f64,
    /// Whose processor time it was.
    pub(crate) spent: Spent,
}

/// A conversation as the loop keeps it.
#[derive(Debug, Clone, Copy)]
struct Thread {
    brand: Uuid,
    id: Uuid,
    channel: Uuid,
    team: Uuid,
    identity: Uuid,
    contact: Uuid,
    bucket: i16,
}

/// A message to write.
#[derive(Debug, Clone, Copy)]
struct Message {
    place: Place,
    thread: Thread,
    at: Ts,
    event_no: i64,
}

/// Writes the whole workload, on tables that are in use as those of the real thing are.
///
/// # Errors
/// When the database fails.
pub(crate) async fn measure(house: &House, workload: &Workload) -> anyhow::Result<Ceiling> {
    write(house, &house.warm_up()).await?;
    house.analyse().await?;
    write(house, workload).await
}

async fn write(house: &House, workload: &Workload) -> anyhow::Result<Ceiling> {
    let threads = prepare(house, workload).await?;
    let now = Timestamp::now();
    let mut writers = JoinSet::new();
    let parts = Parts::new(&service_ports())?;
    let before = parts.read()?;
    let started = Instant::now();
    for writer in 0..CONNECTIONS {
        let connection = house.owner().await;
        // A conversation is one writer's, as it is one partition's.
        let messages: Vec<Message> = workload
            .places()
            .filter(|place| place.conversation % CONNECTIONS == writer)
            .map(|place| {
                let at =
                    Timestamp::from_millisecond(workload.sent_at_ms(place, now)).unwrap_or(now);
                Message {
                    place,
                    thread: threads[place.conversation],
                    at: at.into(),
                    event_no: workload.event_no(place),
                }
            })
            .collect();
        writers.spawn(write_all(connection, messages));
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let elapsed = started.elapsed();
    let spent = parts.read()?.since(&before);
    Ok(Ceiling {
        rate: per_second(workload.messages(), elapsed),
        spent,
    })
}

/// Customers are there already.
async fn prepare(house: &House, workload: &Workload) -> anyhow::Result<Vec<Thread>> {
    let threads: Vec<Thread> = (0..workload.conversations())
        .map(|number| {
            let brand = &house.brands[number % house.brands.len()];
            Thread {
                brand: brand.id.0,
                id: Uuid::now_v7(),
                channel: brand.channel.0,
                team: brand.team.0,
                identity: Uuid::now_v7(),
                contact: Uuid::now_v7(),
                bucket: i16::try_from(number % 256).unwrap_or(0),
            }
        })
        .collect();
    let brands: Vec<Uuid> = threads.iter().map(|thread| thread.brand).collect();
    let contacts: Vec<Uuid> = threads.iter().map(|thread| thread.contact).collect();
    let identities: Vec<Uuid> = threads.iter().map(|thread| thread.identity).collect();
    let externals: Vec<String> = (0..threads.len())
        .map(|number| workload.customer(number))
        .collect();
    let mut owner = house.owner().await;
    sqlx::query(
        "insert into contacts (brand_id, id, name) select * from unnest($1::uuid[], $2::uuid[], $3::text[])",
    )
    .bind(&brands)
    .bind(&contacts)
    .bind(&externals)
    .execute(&mut owner)
    .await?;
    sqlx::query(
        "insert into identities (brand_id, id, contact_id, platform, external_id)
         select brand, id, contact, 'x', external
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) as t (brand, id, contact, external)",
    )
    .bind(&brands)
    .bind(&identities)
    .bind(&contacts)
    .bind(&externals)
    .execute(&mut owner)
    .await?;
    owner.close().await?;
    Ok(threads)
}

async fn write_all(mut connection: PgConnection, messages: Vec<Message>) -> anyhow::Result<()> {
    for batch in messages.chunks(BATCH) {
        let ids: Vec<Uuid> = batch.iter().map(|_| Uuid::now_v7()).collect();
        let mut tx = connection.begin().await?;
        write_conversations(&mut tx, batch, &ids).await?;
        write_messages(&mut tx, batch, &ids).await?;
        write_events(&mut tx, batch, &ids).await?;
        tx.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

fn seq(place: Place) -> i64 {
    i64::try_from(place.number + 1).unwrap_or(1)
}

async fn write_conversations(
    connection: &mut PgConnection,
    batch: &[Message],
    ids: &[Uuid],
) -> anyhow::Result<()> {
    // The last message of each conversation in the batch; in the order of the key, against deadlocks.
    let last: BTreeMap<(Uuid, Uuid), (&Message, Uuid)> = batch
        .iter()
        .zip(ids)
        .map(|(message, id)| ((message.thread.brand, message.thread.id), (message, *id)))
        .collect();
    let of = |get: fn(&Thread) -> Uuid| {
        last.values()
            .map(|(message, _)| get(&message.thread))
            .collect::<Vec<_>>()
    };
    let at: Vec<Ts> = last.values().map(|(message, _)| message.at).collect();
    sqlx::query(
        "insert into conversations (brand_id, id, channel_id, identity_id, contact_id, team_id, bucket, status, queued_at,
                last_seq, version, cycle, cycle_started_at, waiting_since, last_order_at, last_order_no, last_order_id,
                last_inbound_seq, opened_at, preview, last_message_at)
         select brand, id, channel, identity, contact, team, bucket, 'open', now(), seq, seq, 1, at, at, at, seq, message,
                seq, at, preview, at
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[], $8::bigint[],
                     $9::timestamptz[], $10::uuid[], $11::text[])
              as t (brand, id, channel, identity, contact, team, bucket, seq, at, message, preview)
         on conflict (brand_id, id) do update set
             last_seq = excluded.last_seq, version = excluded.version, last_order_at = excluded.last_order_at,
             last_order_no = excluded.last_order_no, last_order_id = excluded.last_order_id,
             last_inbound_seq = excluded.last_inbound_seq, preview = excluded.preview,
             last_message_at = excluded.last_message_at, updated_at = now()",
    )
    .bind(of(|thread| thread.brand))
    .bind(of(|thread| thread.id))
    .bind(of(|thread| thread.channel))
    .bind(of(|thread| thread.identity))
    .bind(of(|thread| thread.contact))
    .bind(of(|thread| thread.team))
    .bind(last.values().map(|(message, _)| message.thread.bucket).collect::<Vec<_>>())
    .bind(last.values().map(|(message, _)| seq(message.place)).collect::<Vec<_>>())
    .bind(at)
    .bind(last.values().map(|(_, id)| *id).collect::<Vec<_>>())
    .bind(last.values().map(|(message, _)| Workload::text(message.place)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_messages(
    connection: &mut PgConnection,
    batch: &[Message],
    ids: &[Uuid],
) -> anyhow::Result<()> {
    let of = |get: fn(&Thread) -> Uuid| {
        batch
            .iter()
            .map(|message| get(&message.thread))
            .collect::<Vec<_>>()
    };
    sqlx::query(
        "insert into messages (brand_id, id, conversation_id, channel_id, kind, author_type, author_id, text, entities,
                order_at, order_no, stored_seq, sent_at, platform_event_id, created_at)
         select brand, id, conversation, channel, 'inbound', 'contact', contact, text,
                '{\"hashtags\": [], \"symbols\": [], \"user_mentions\": [], \"urls\": []}', at, no, seq, at, no::text, now()
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[],
                     $8::bigint[], $9::bigint[])
              as t (brand, id, conversation, channel, contact, text, at, no, seq)",
    )
    .bind(of(|thread| thread.brand))
    .bind(ids)
    .bind(of(|thread| thread.id))
    .bind(of(|thread| thread.channel))
    .bind(of(|thread| thread.contact))
    .bind(batch.iter().map(|message| Workload::text(message.place)).collect::<Vec<_>>())
    .bind(batch.iter().map(|message| message.at).collect::<Vec<_>>())
    .bind(batch.iter().map(|message| message.event_no).collect::<Vec<_>>())
    .bind(batch.iter().map(|message| seq(message.place)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_events(
    connection: &mut PgConnection,
    batch: &[Message],
    ids: &[Uuid],
) -> anyhow::Result<()> {
    let of = |get: fn(&Thread) -> Uuid| {
        batch
            .iter()
            .map(|message| get(&message.thread))
            .collect::<Vec<_>>()
    };
    sqlx::query(
        "insert into events (brand_id, id, conversation_id, seq, type, actor_type, actor_id, request_id, bucket,
                occurred_at, data)
         select brand, id, conversation, seq, 'message.received', 'contact', contact, 'bench', bucket, now(), data::jsonb
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::smallint[], $7::text[])
              as t (brand, id, conversation, seq, contact, bucket, data)",
    )
    .bind(of(|thread| thread.brand))
    .bind(ids.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(of(|thread| thread.id))
    .bind(batch.iter().map(|message| seq(message.place)).collect::<Vec<_>>())
    .bind(of(|thread| thread.contact))
    .bind(batch.iter().map(|message| message.thread.bucket).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| json!({ "message_id": format!("msg_{}", id.simple()) }).to_string()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
