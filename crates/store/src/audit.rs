//! The audit log: append-only, each line chained to the one before by a key that isn't in the database.

mod read;
pub mod verify;

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use roost_domain::ids::AuditId;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::Cause;
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use read::{Head, LineFilter, find, list, untold_heads};

/// Hash before the first line.
const GENESIS: [u8; 32] = [0; 32];

/// What happened to what.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Such as `member.role_changed`.
    pub action: &'static str,
    /// The kind of thing, such as `member`.
    pub target_type: &'static str,
    /// Which one; none for the brand itself.
    pub target: Option<Uuid>,
    /// The changed fields as they were. Personal values go in as [`Auditor::digest`]s.
    pub before: Option<Value>,
    /// The changed fields as they are now.
    pub after: Option<Value>,
}

/// Fields that have changed, each with how it was and is, as they were and as they are.
#[must_use]
pub fn split(changed: &Map<String, Value>) -> (Value, Value) {
    let side = |at: usize| {
        let fields = changed
            .iter()
            .map(|(field, both)| (field.clone(), both[at].clone()));
        Value::Object(fields.collect())
    };
    (side(0), side(1))
}

/// The members of two objects that differ, as they were and as they are.
#[must_use]
pub fn differing(before: &Value, after: &Value) -> (Value, Value) {
    let members = |one: &Value, other: &Value| {
        let members = one.as_object().into_iter().flatten();
        let differing = members.filter(|(name, value)| other.get(name.as_str()) != Some(value));
        Value::Object(
            differing
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    };
    (members(before, after), members(after, before))
}

/// A line as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Line {
    /// 1, 2, 3 … in a brand.
    pub seq: i64,
    /// Ours.
    pub id: Uuid,
    /// When, by the database.
    pub at: Ts,
    /// `member`, `bot` or `system`.
    pub actor_type: String,
    /// Which one.
    pub actor_id: Option<Uuid>,
    /// What happened.
    pub action: String,
    /// To what kind of thing.
    pub target_type: String,
    /// To which one.
    pub target_id: Option<Uuid>,
    /// JSON.
    pub before: Option<String>,
    /// JSON.
    pub after: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Covers all of it and the line before.
    pub hash: Vec<u8>,
}

/// Writes and checks lines. Cheap to clone.
#[derive(Clone)]
pub struct Auditor {
    key: Arc<SecretSlice<u8>>,
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auditor")
    }
}

impl Auditor {
    /// With the operator's key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key: Arc::new(SecretSlice::from(key.to_vec())),
        }
    }

    /// What stands for a personal value: equal values look equal, and nobody without the key can try
    /// out which one it is.
    #[must_use]
    pub fn digest(&self, value: &str) -> String {
        let bytes = self.mac(&[b"value:", value.as_bytes()].concat());
        let hex: String = bytes[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("digest:{hex}")
    }

    /// Adds a line in the transaction of what it tells. Lines of a brand are written one after the
    /// other: its head is locked until the commit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(
        &self,
        tx: &mut BrandTx,
        cause: &Cause,
        entry: Entry,
    ) -> Result<AuditId, StoreError> {
        let brand = tx.brand();
        sqlx::query(
            "insert into audit_heads (brand_id, hash) values ($1, $2) on conflict do nothing",
        )
        .bind(brand.0)
        .bind(GENESIS.as_slice())
        .execute(tx.conn())
        .await?;
        let (seq, previous, at): (i64, Vec<u8>, Ts) = sqlx::query_as(
            "select seq + 1, hash, clock_timestamp() from audit_heads where brand_id = $1 for update",
        )
        .bind(brand.0)
        .fetch_one(tx.conn())
        .await?;
        let mut line = Line {
            seq,
            id: Uuid::now_v7(),
            at,
            actor_type: cause.actor.kind().to_owned(),
            actor_id: cause.actor.id(),
            action: entry.action.to_owned(),
            target_type: entry.target_type.to_owned(),
            target_id: entry.target,
            before: entry.before.map(|value| value.to_string()),
            after: entry.after.map(|value| value.to_string()),
            address: cause.address.map(|address| address.to_string()),
            request_id: cause.request_id.clone(),
            hash: Vec::new(),
        };
        line.hash = self.chain(brand.0, &previous, &line);
        insert(tx, &line).await?;
        Ok(AuditId(line.id))
    }

    /// The hash that a line must have after the line before it.
    #[must_use]
    pub fn chain(&self, brand: Uuid, previous: &[u8], line: &Line) -> Vec<u8> {
        let at: Timestamp = line.at.get();
        // A JSON array: no two different lines have the same text.
        let text = json!([
            "roost.audit.1",
            brand,
            line.seq,
            line.id,
            at.as_microsecond(),
            line.actor_type,
            line.actor_id,
            line.action,
            line.target_type,
            line.target_id,
            line.before,
            line.after,
            line.address,
            line.request_id,
        ])
        .to_string();
        self.mac(&[previous, text.as_bytes()].concat())
    }

    fn mac(&self, bytes: &[u8]) -> Vec<u8> {
        // A key of any length is a key for HMAC.
        Hmac::<Sha256>::new_from_slice(self.key.expose_secret())
            .map(|mut mac| {
                mac.update(bytes);
                mac.finalize().into_bytes().to_vec()
            })
            .unwrap_or_default()
    }
}

async fn insert(tx: &mut BrandTx, line: &Line) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "with line as (
            insert into audit_log (brand_id, seq, id, at, actor_type, actor_id, action, target_type, target_id,
                                   before, after, address, request_id, hash)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ) update audit_heads set seq = $2, hash = $14 where brand_id = $1",
    )
    .bind(brand.0)
    .bind(line.seq)
    .bind(line.id)
    .bind(line.at)
    .bind(&line.actor_type)
    .bind(line.actor_id)
    .bind(&line.action)
    .bind(&line.target_type)
    .bind(line.target_id)
    .bind(&line.before)
    .bind(&line.after)
    .bind(&line.address)
    .bind(&line.request_id)
    .bind(&line.hash)
    .execute(tx.conn())
    .await?;
    Ok(())
}
