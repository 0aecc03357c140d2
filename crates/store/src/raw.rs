//! Signed events that belong to no conversation: kept as they came, counted, visible to the operator.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// An event that nobody claims.
#[derive(Debug, Clone, Serialize)]
pub struct RawEvent {
    /// Ours.
    pub id: Uuid,
    /// Such as `x`.
    pub platform: String,
    /// The platform app whose secret signed it.
    pub app: String,
    /// The account it was sent for; empty if it doesn't say.
    pub account_id: String,
    /// Our kind or the platform's own.
    pub kind: String,
    /// The platform's id, or a digest of the body.
    pub event_id: String,
    /// Why no conversation has it.
    pub reason: String,
    /// The event as JSON.
    pub payload: String,
    /// The webhook request that brought it.
    pub request_id: Option<String>,
}

/// Keeps events; one that is there already is left as it is.
///
/// # Errors
/// When the database fails.
pub async fn keep(connection: &mut PgConnection, events: &[RawEvent]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into raw_unclaimed (id, platform, app, account_id, kind, event_id, reason, payload, request_id)
         select id, platform, app, account_id, kind, event_id, reason, payload, request_id
         from jsonb_populate_recordset(null::raw_unclaimed, $1)
         on conflict on constraint raw_unclaimed_event_key do nothing",
    )
    .bind(sqlx::types::Json(events))
    .execute(connection)
    .await?;
    Ok(())
}
