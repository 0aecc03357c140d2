//! Mails that wait to be sent, written in the transaction of their cause. Bodies are sealed: they
//! hold addresses and links.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::SystemTx;

/// A mail to queue.
#[derive(Debug, Clone)]
pub struct NewMail {
    /// Ours.
    pub id: Uuid,
    /// Such as `invitation`.
    pub kind: &'static str,
    /// Sealed.
    pub body: Vec<u8>,
}

/// Queues a mail.
///
/// # Errors
/// When the database fails.
pub async fn put(conn: &mut PgConnection, mail: &NewMail) -> Result<(), StoreError> {
    sqlx::query("select mail_put($1, $2, $3)")
        .bind(mail.id)
        .bind(mail.kind)
        .bind(&mail.body)
        .execute(conn)
        .await?;
    Ok(())
}

/// A mail that is due.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DueMail {
    /// Ours.
    pub id: Uuid,
    /// Such as `invitation`.
    pub kind: String,
    /// Sealed.
    pub body: Vec<u8>,
    /// How often it was taken, this time included.
    pub attempts: i32,
    /// Since it was queued.
    pub age_seconds: f64,
}

/// Takes due mails; nobody else gets them for `lease_seconds`.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    tx: &mut SystemTx,
    most: i32,
    lease_seconds: i32,
) -> Result<Vec<DueMail>, StoreError> {
    Ok(
        sqlx::query_as("select id, kind, body, attempts, age_seconds from mail_claim($1, $2)")
            .bind(most)
            .bind(lease_seconds)
            .fetch_all(tx.conn())
            .await?,
    )
}

/// Removes a mail that was taken or given up.
///
/// # Errors
/// When the database fails.
pub async fn drop_mail(tx: &mut SystemTx, id: Uuid) -> Result<(), StoreError> {
    sqlx::query("select mail_drop($1)")
        .bind(id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Puts a mail off.
///
/// # Errors
/// When the database fails.
pub async fn delay(tx: &mut SystemTx, id: Uuid, seconds: i32) -> Result<(), StoreError> {
    sqlx::query("select mail_delay($1, $2)")
        .bind(id)
        .bind(seconds)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// How old the oldest waiting mail is, in seconds.
///
/// # Errors
/// When the database fails.
pub async fn backlog_seconds(tx: &mut SystemTx) -> Result<f64, StoreError> {
    Ok(sqlx::query_scalar("select mail_backlog_seconds()")
        .fetch_one(tx.conn())
        .await?)
}

/// Throws out spent links, old tries, places and sessions.
///
/// # Errors
/// When the database fails.
pub async fn sweep(tx: &mut SystemTx) -> Result<(), StoreError> {
    sqlx::query("select account_sweep()")
        .execute(tx.conn())
        .await?;
    Ok(())
}
