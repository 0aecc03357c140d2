//! Second factors. Codes are compared elsewhere; here each is used up.

use roost_domain::ids::UserId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Keeps a sealed secret that isn't on yet; false where a second factor is on already.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    conn: &mut PgConnection,
    user: UserId,
    sealed: &[u8],
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select totp_begin($1, $2)")
        .bind(user.0)
        .bind(sealed)
        .fetch_one(conn)
        .await?)
}

/// Turns the second factor on, with the step of the code that proved it and the hashes of recovery
/// codes; false where it is on already or was begun anew.
///
/// # Errors
/// When the database fails.
pub async fn enable(
    conn: &mut PgConnection,
    user: UserId,
    sealed: &[u8],
    step: i64,
    codes: &[Vec<u8>],
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select totp_enable($1, $2, $3, $4)")
        .bind(user.0)
        .bind(sealed)
        .bind(step)
        .bind(codes)
        .fetch_one(conn)
        .await?)
}

/// Turns the second factor off.
///
/// # Errors
/// When the database fails.
pub async fn disable(conn: &mut PgConnection, user: UserId) -> Result<(), StoreError> {
    sqlx::query("select totp_disable($1)")
        .bind(user.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Uses up what was given: the code of a step, else a recovery code by its hash. Whether it was good.
///
/// # Errors
/// When the database fails.
pub async fn spend(
    conn: &mut PgConnection,
    user: UserId,
    step: Option<i64>,
    recovery: &[u8],
) -> Result<bool, StoreError> {
    match step {
        Some(step) => use_step(conn, user, step).await,
        None => use_recovery_code(conn, user, recovery).await,
    }
}

/// True once, and never again for this step or an earlier one.
async fn use_step(conn: &mut PgConnection, user: UserId, step: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select totp_use($1, $2)")
        .bind(user.0)
        .bind(step)
        .fetch_one(conn)
        .await?)
}

async fn use_recovery_code(
    conn: &mut PgConnection,
    user: UserId,
    hash: &[u8],
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select recovery_use($1, $2)")
        .bind(user.0)
        .bind(hash)
        .fetch_one(conn)
        .await?)
}

/// Replaces all recovery codes.
///
/// # Errors
/// When the database fails.
pub async fn replace_recovery_codes(
    conn: &mut PgConnection,
    user: UserId,
    codes: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query("select recovery_replace($1, $2)")
        .bind(user.0)
        .bind(codes)
        .execute(conn)
        .await?;
    Ok(())
}
