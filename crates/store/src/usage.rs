//! What a brand may use and what it has used.
//!
//! Messages are counted from the brand's log, behind its writers and in batches: see [`count_some`]. The
//! count of a month is what was counted plus the few lines that came since.

use jiff::Timestamp;
use roost_domain::ids::BrandId;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::error::StoreError;
use crate::routes::Account;
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// Lines that one transaction counts.
const BATCH: i64 = 10_000;
/// A message that came in or went out.
const COUNTED: [&str; 2] = ["message.received", "message.sent"];

/// What may be used; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Active people.
    pub members: u32,
    /// Connected accounts.
    pub channels: u32,
    /// Messages in and out in a calendar month.
    pub messages_per_month: u32,
    /// Requests of all members and keys.
    pub requests_per_minute: u32,
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Active people.
    pub members: i64,
    /// Connected accounts.
    pub channels: i64,
    /// Messages in and out in this month, by UTC.
    pub messages: i64,
    /// When the next month begins.
    pub month_ends_at: Timestamp,
}

/// A brand's limits: the operator's own for it, else the install's.
///
/// # Errors
/// When the database fails.
pub async fn limits(tx: &mut BrandTx, defaults: &Limits) -> Result<Limits, StoreError> {
    let brand = tx.brand();
    let own = read(tx.conn(), brand).await?;
    let pick =
        |own: Option<i32>, default| own.and_then(|own| own.try_into().ok()).unwrap_or(default);
    Ok(Limits {
        members: pick(own[0], defaults.members),
        channels: pick(own[1], defaults.channels),
        messages_per_month: pick(own[2], defaults.messages_per_month),
        requests_per_minute: pick(own[3], defaults.requests_per_minute),
    })
}

async fn read(
    connection: &mut PgConnection,
    brand: BrandId,
) -> Result<[Option<i32>; 4], StoreError> {
    type Row = (Option<i32>, Option<i32>, Option<i32>, Option<i32>);
    let row: Option<Row> = sqlx::query_as(
        "select members, channels, messages_per_month, requests_per_minute from brand_limits where brand_id = $1",
    )
    .bind(brand.0)
    .fetch_optional(connection)
    .await?;
    let row = row.unwrap_or_default();
    Ok([row.0, row.1, row.2, row.3])
}

/// What a brand uses.
///
/// # Errors
/// When the database fails.
pub async fn usage(tx: &mut BrandTx) -> Result<Usage, StoreError> {
    let (messages, month_ends_at) = messages(tx).await?;
    Ok(Usage {
        members: members(tx).await?,
        channels: channels(tx, None).await?,
        messages,
        month_ends_at,
    })
}

/// Active people; API keys' members are none.
///
/// # Errors
/// When the database fails.
pub async fn members(tx: &mut BrandTx) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from members where brand_id = $1 and kind = 'person' and active",
    )
    .bind(brand.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Connected accounts, but for one.
///
/// # Errors
/// When the database fails.
pub async fn channels(tx: &mut BrandTx, without: Option<&Account>) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from channels
         where brand_id = $1 and status <> 'disconnected'
           and ($2::text is null or (platform, app, account_id) <> ($2, $3, $4))",
    )
    .bind(brand.0)
    .bind(without.map(|account| &account.platform))
    .bind(without.map(|account| &account.app))
    .bind(without.map(|account| &account.account_id))
    .fetch_one(tx.conn())
    .await?)
}

/// Messages in and out in this month, and when it ends.
///
/// # Errors
/// When the database fails.
pub async fn messages(tx: &mut BrandTx) -> Result<(i64, Timestamp), StoreError> {
    let brand = tx.brand();
    let (messages, ends): (i64, Ts) = sqlx::query_as(
        "with month as (select date_trunc('month', now() at time zone 'utc') as start)
         select coalesce((select u.messages from usage_months u
                          where u.brand_id = $1 and u.month = month.start::date), 0)
              + (select count(*) from (
                    select from events e
                    where e.brand_id = $1 and e.type = any ($2) and e.occurred_at >= month.start at time zone 'utc'
                      and e.position > coalesce((select k.position from usage_marks k where k.brand_id = $1), 0)
                    limit $3) since),
                (month.start + interval '1 month') at time zone 'utc'
         from month",
    )
    .bind(brand.0)
    .bind(COUNTED.as_slice())
    .bind(BATCH)
    .fetch_one(tx.conn())
    .await?;
    Ok((messages, ends.get()))
}

/// Brands with lines that are not counted yet.
///
/// # Errors
/// When the database fails.
pub async fn brands_behind(store: &Store) -> Result<Vec<BrandId>, StoreError> {
    let brands: Vec<Uuid> = store
        .system(|tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_scalar("select brand_id from cross_usage_behind(1000)")
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(brands.into_iter().map(BrandId).collect())
}

/// Counts some lines of the brand's log that are not counted yet; whether there may be more. Each line
/// counts once: the mark moves in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn count_some(tx: &mut BrandTx) -> Result<bool, StoreError> {
    let brand = tx.brand();
    sqlx::query("insert into usage_marks (brand_id) values ($1) on conflict do nothing")
        .bind(brand.0)
        .execute(tx.conn())
        .await?;
    let mark: Option<i64> = sqlx::query_scalar(
        "select position from usage_marks where brand_id = $1 for update skip locked",
    )
    .bind(brand.0)
    .fetch_optional(tx.conn())
    .await?;
    // Another process is at it.
    let Some(mark) = mark else {
        return Ok(false);
    };
    // A brand's positions are committed in their order: none comes up behind the mark later.
    let (lines, last): (i64, Option<i64>) = sqlx::query_as(
        "with due as (
            select position, type, date_trunc('month', occurred_at at time zone 'utc')::date as month from events
            where brand_id = $1 and position > $2 order by position limit $4
         ), counted as (
            insert into usage_months as u (brand_id, month, messages)
            select $1, month, count(*) from due where type = any ($3) group by month
            on conflict (brand_id, month) do update set messages = u.messages + excluded.messages
         ) select count(*), max(position) from due",
    )
    .bind(brand.0)
    .bind(mark)
    .bind(COUNTED.as_slice())
    .bind(BATCH)
    .fetch_one(tx.conn())
    .await?;
    if let Some(last) = last {
        sqlx::query("update usage_marks set position = $2 where brand_id = $1")
            .bind(brand.0)
            .bind(last)
            .execute(tx.conn())
            .await?;
    }
    Ok(lines >= BATCH)
}

/// What an operator can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Active people.
    Members,
    /// Connected accounts.
    Channels,
    /// Messages in and out in a calendar month.
    MessagesPerMonth,
    /// Requests of all members and keys.
    RequestsPerMinute,
}

impl Limited {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Members,
        Self::Channels,
        Self::MessagesPerMonth,
        Self::RequestsPerMinute,
    ];

    /// Its name for the operator.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Channels => "channels",
            Self::MessagesPerMonth => "messages_per_month",
            Self::RequestsPerMinute => "requests_per_minute",
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Members => "update brand_limits set members = $2 where brand_id = $1",
            Self::Channels => "update brand_limits set channels = $2 where brand_id = $1",
            Self::MessagesPerMonth => {
                "update brand_limits set messages_per_month = $2 where brand_id = $1"
            }
            Self::RequestsPerMinute => {
                "update brand_limits set requests_per_minute = $2 where brand_id = $1"
            }
        }
    }
}

/// Sets a brand's own limits, as the owner; none is the install's default. Answers all of its own, in
/// the order of [`Limited::ALL`], or none where there is no such brand.
///
/// # Errors
/// When the database can't be reached or refuses.
pub async fn set_limits(
    owner_url: &SecretString,
    brand: BrandId,
    wanted: &[(Limited, Option<i32>)],
) -> Result<Option<[Option<i32>; 4]>, StoreError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    let is_there: bool =
        sqlx::query_scalar("select exists (select from brands where brand_id = $1)")
            .bind(brand.0)
            .fetch_one(&mut connection)
            .await?;
    if !is_there {
        return Ok(None);
    }
    sqlx::query("insert into brand_limits (brand_id) values ($1) on conflict do nothing")
        .bind(brand.0)
        .execute(&mut connection)
        .await?;
    for (what, limit) in wanted {
        sqlx::query(what.statement())
            .bind(brand.0)
            .bind(limit)
            .execute(&mut connection)
            .await?;
    }
    let own = read(&mut connection, brand).await?;
    connection.close().await?;
    Ok(Some(own))
}
