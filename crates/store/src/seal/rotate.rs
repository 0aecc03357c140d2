//! Moving everything that the operator's keys seal to the active one.
//!
//! Runs as the owner, who sees every brand, beside services that have the same keys. Values are replaced
//! only where they are still what was read, so that nothing is locked and a run that was cut short is
//! taken up by the next.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};

use super::envelope::Place;
use super::ring::KeyRing;
use crate::error::StoreError;

/// Rows that one statement moves.
const BATCH: i64 = 500;

/// A column that the operator's keys seal. The statements of one look alike: `key` finds a row again,
/// `name` is for people, `place` is the row as [`Place`] has it.
struct Column {
    table: &'static str,
    column: &'static str,
    read: &'static str,
    write: &'static str,
}

const COLUMNS: [Column; 5] = [
    Column {
        table: "brand_keys",
        column: "wrapped",
        read: "select uuid_send(brand_id) || int4send(key_no) as key, brand_id || '/' || key_no as name,
                      array[uuid_send(brand_id), int4send(key_no)] as place, wrapped as sealed
               from brand_keys
               where sealed_key_id(wrapped) <> $1 and uuid_send(brand_id) || int4send(key_no) > $2
               order by key limit $3",
        write: "update brand_keys b set wrapped = new.sealed
                from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as new (key, was, sealed)
                where uuid_send(b.brand_id) || int4send(b.key_no) = new.key and b.wrapped = new.was",
    },
    Column {
        table: "dead_messages",
        column: "payload",
        read: "select uuid_send(id) as key, id::text as name, array[convert_to(queue, 'UTF8'), fingerprint] as place,
                      payload as sealed
               from dead_messages where sealed_key_id(payload) <> $1 and uuid_send(id) > $2 order by key limit $3",
        write: "update dead_messages d set payload = new.sealed
                from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as new (key, was, sealed)
                where uuid_send(d.id) = new.key and d.payload = new.was",
    },
    // Expired ones can't be taken any more.
    Column {
        table: "connect_requests",
        column: "token_secret",
        read: "select token_hash as key, encode(token_hash, 'hex') as name,
                      array[token_hash, uuid_send(brand_id), uuid_send(member_id)] as place, token_secret as sealed
               from connect_requests
               where sealed_key_id(token_secret) <> $1 and token_hash > $2 and expires_at > now()
               order by key limit $3",
        write: "update connect_requests c set token_secret = new.sealed
                from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as new (key, was, sealed)
                where c.token_hash = new.key and c.token_secret = new.was",
    },
    Column {
        table: "mails",
        column: "body",
        read: "select uuid_send(id) as key, id::text as name, array[uuid_send(id)] as place, body as sealed
               from mails where sealed_key_id(body) <> $1 and uuid_send(id) > $2 order by key limit $3",
        write: "update mails m set body = new.sealed
                from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as new (key, was, sealed)
                where uuid_send(m.id) = new.key and m.body = new.was",
    },
    Column {
        table: "users",
        column: "totp_secret",
        read: "select uuid_send(id) as key, id::text as name, array[uuid_send(id)] as place, totp_secret as sealed
               from users where totp_secret is not null and sealed_key_id(totp_secret) <> $1
                 and uuid_send(id) > $2 order by key limit $3",
        write: "update users u set totp_secret = new.sealed
                from unnest($1::bytea[], $2::bytea[], $3::bytea[]) as new (key, was, sealed)
                where uuid_send(u.id) = new.key and u.totp_secret = new.was",
    },
];

#[derive(sqlx::FromRow)]
struct Row {
    key: Vec<u8>,
    name: String,
    place: Vec<Vec<u8>>,
    sealed: Vec<u8>,
}

/// A key and what it seals.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyUse {
    /// The key's name; empty for values that no key of the operator's sealed.
    pub id: String,
    /// Data keys of brands.
    pub brand_keys: i64,
    /// Dead letters.
    pub dead_letters: i64,
    /// Connections of accounts under way.
    pub connect_requests: i64,
    /// Mails that wait to be sent.
    pub mails: i64,
    /// Second factors of people.
    pub second_factors: i64,
}

/// What a rotation did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Tables and how many of their values were sealed anew.
    pub moved: Vec<(&'static str, u64)>,
    /// Values that don't open with the key that they name, as `table name`.
    pub unreadable: Vec<String>,
}

/// What was given up with a lost key.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Forgotten {
    /// Data keys of brands.
    pub brand_keys: i64,
    /// Channels that have to be connected again.
    pub channels: i64,
    /// Dead letters.
    pub dead_letters: i64,
    /// Connections of accounts under way.
    pub connect_requests: i64,
    /// Mails that had not been sent.
    pub mails: i64,
    /// Second factors of people.
    pub second_factors: i64,
}

/// Why nothing was rotated, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// Values need keys that the ring doesn't have.
    #[error("secrets_keys lacks {}, which stored values need: nothing was changed", .ids.join(", "))]
    MissingKeys {
        /// Their names.
        ids: Vec<String>,
    },
    /// The database refused, or a value turned up whose key isn't in the ring.
    #[error("cannot seal stored values anew")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RotateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The operator at the stored values, as the owner.
#[derive(Debug)]
pub struct Keeper {
    connection: PgConnection,
    ring: KeyRing,
}

impl Keeper {
    /// Connects.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn connect(owner_url: &SecretString, ring: KeyRing) -> Result<Self, StoreError> {
        Ok(Self {
            connection: PgConnection::connect(owner_url.expose_secret()).await?,
            ring,
        })
    }

    /// Every key that seals something, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uses(&mut self) -> Result<Vec<KeyUse>, StoreError> {
        Ok(sqlx::query_as(
            "select id, count(*) filter (where what = 'brand') as brand_keys,
                    count(*) filter (where what = 'dead') as dead_letters,
                    count(*) filter (where what = 'connect') as connect_requests,
                    count(*) filter (where what = 'mail') as mails,
                    count(*) filter (where what = 'totp') as second_factors
             from (select sealed_key_id(wrapped) as id, 'brand' as what from brand_keys
                   union all select sealed_key_id(payload), 'dead' from dead_messages
                   union all select sealed_key_id(token_secret), 'connect' from connect_requests
                             where expires_at > now()
                   union all select sealed_key_id(body), 'mail' from mails
                   union all select sealed_key_id(totp_secret), 'totp' from users
                             where totp_secret is not null) as sealed
             group by id order by id",
        )
        .fetch_all(&mut self.connection)
        .await?)
    }

    /// Seals everything with the active key. What services seal meanwhile with another key, because
    /// theirs is another active one, is left for the next run: [`Keeper::uses`] shows it.
    ///
    /// # Errors
    /// When a key is missing from the ring, or the database fails; what was moved by then stays so.
    pub async fn rotate(&mut self) -> Result<Rotated, RotateError> {
        let uses = self.uses().await?;
        let ids: Vec<String> = uses
            .into_iter()
            .map(|used| used.id)
            .filter(|id| !id.is_empty() && !self.ring.has(id))
            .collect();
        if !ids.is_empty() {
            return Err(RotateError::MissingKeys { ids });
        }
        let mut rotated = Rotated::default();
        for column in &COLUMNS {
            let moved = self.rotate_column(column, &mut rotated.unreadable).await?;
            rotated.moved.push((column.table, moved));
        }
        Ok(rotated)
    }

    /// Gives up what a lost key seals, so that the install can go on without it: the brands' data keys
    /// with the tokens and kept answers that these sealed, dead letters, connections under way, unsent mails,
    /// second factors. The channels ask to be connected again, and people have to set up their second
    /// factors anew. For when no process has the key any more: one that has would go on sealing with
    /// the data keys that it knows.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn forget(&mut self, id: &str) -> Result<Forgotten, StoreError> {
        Ok(sqlx::query_as(
            "with lost as (delete from brand_keys where sealed_key_id(wrapped) = $1 returning brand_id),
             channels as (
                 update channels c set credentials = null, status = 'reauth_required', status_reason = 'key_lost'
                 where c.credentials is not null and c.brand_id in (select brand_id from lost) returning c.id),
             answers as (delete from idempotency i using lost where i.brand_id = lost.brand_id returning i.key),
             unsent as (delete from mails where sealed_key_id(body) = $1 returning id),
             factors as (update users set totp_secret = null, totp_enabled_at = null
                         where sealed_key_id(totp_secret) = $1 returning id),
             letters as (delete from dead_messages where sealed_key_id(payload) = $1 returning id),
             begun as (delete from connect_requests where sealed_key_id(token_secret) = $1 returning token_hash)
             select (select count(*) from lost) as brand_keys, (select count(*) from channels) as channels,
                    (select count(*) from letters) as dead_letters,
                    (select count(*) from begun) as connect_requests, (select count(*) from unsent) as mails,
                    (select count(*) from factors) as second_factors",
        )
        .bind(id)
        .fetch_one(&mut self.connection)
        .await?)
    }

    async fn rotate_column(
        &mut self,
        column: &Column,
        unreadable: &mut Vec<String>,
    ) -> Result<u64, StoreError> {
        let active = self.ring.ids().next().unwrap_or_default().to_owned();
        let (mut moved, mut after) = (0, Vec::new());
        loop {
            let rows: Vec<Row> = sqlx::query_as(column.read)
                .bind(&active)
                .bind(&after)
                .bind(BATCH)
                .fetch_all(&mut self.connection)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(moved);
            };
            after.clone_from(&last.key);
            let (mut keys, mut was, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
            for row in rows {
                match self.seal_anew(column, &row) {
                    Ok(new) => {
                        keys.push(row.key);
                        was.push(row.sealed);
                        sealed.push(new);
                    }
                    Err(StoreError::Sealed) => {
                        unreadable.push(format!("{} {}", column.table, row.name));
                    }
                    Err(error) => return Err(error),
                }
            }
            moved += sqlx::query(column.write)
                .bind(&keys)
                .bind(&was)
                .bind(&sealed)
                .execute(&mut self.connection)
                .await?
                .rows_affected();
        }
    }

    fn seal_anew(&self, column: &Column, row: &Row) -> Result<Vec<u8>, StoreError> {
        let parts: Vec<&[u8]> = row.place.iter().map(Vec::as_slice).collect();
        let place = Place::new(column.table, column.column, &parts);
        let value = secrecy::zeroize::Zeroizing::new(self.ring.open(&place, &row.sealed)?);
        self.ring.seal(&place, &value)
    }
}
