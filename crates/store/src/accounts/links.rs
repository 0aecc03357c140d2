//! Links in mails: each is good once, for one person and one address. Kept as SHA-256.

use roost_domain::ids::UserId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Proves the address.
    Verification,
    /// Allows a new password.
    Reset,
    /// Nothing: counts mails that only tell something.
    Notice,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::Reset => "reset",
            Self::Notice => "notice",
        }
    }

    /// For how long, in minutes.
    fn minutes(self) -> i32 {
        match self {
            Self::Verification | Self::Notice => 24 * 60,
            Self::Reset => 30,
        }
    }

    /// Mails to one person within an hour.
    fn most_an_hour(self) -> i32 {
        match self {
            Self::Verification | Self::Reset => 3,
            Self::Notice => 1,
        }
    }
}

/// Keeps a link; false where the person has had so many within the hour that no other is to be sent.
///
/// # Errors
/// When the database fails.
pub async fn put(
    conn: &mut PgConnection,
    hash: &[u8],
    purpose: Purpose,
    user: UserId,
    email: &str,
) -> Result<bool, StoreError> {
    Ok(
        sqlx::query_scalar("select account_token_put($1, $2, $3, $4, $5, $6)")
            .bind(hash)
            .bind(purpose.as_str())
            .bind(user.0)
            .bind(email)
            .bind(purpose.minutes())
            .bind(purpose.most_an_hour())
            .fetch_one(conn)
            .await?,
    )
}

/// Uses up a link that proves an address; whose it was.
///
/// # Errors
/// When the database fails.
pub async fn verify_email(
    conn: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<UserId>, StoreError> {
    let user: Option<Option<Uuid>> = sqlx::query_scalar("select account_verify_email($1)")
        .bind(hash)
        .fetch_optional(conn)
        .await?;
    Ok(user.flatten().map(UserId))
}

/// Whose password a link would change.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ResetOf {
    /// Who.
    pub user_id: Uuid,
    /// In lower case.
    pub email: String,
    /// The person's name.
    pub full_name: String,
}

/// Looks at a reset link without using it up.
///
/// # Errors
/// When the database fails.
pub async fn peek_reset(
    conn: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<ResetOf>, StoreError> {
    Ok(
        sqlx::query_as("select user_id, email, full_name from account_reset_peek($1)")
            .bind(hash)
            .fetch_optional(conn)
            .await?,
    )
}

/// Uses up a reset link: a new password; every session ends. Whose it was.
///
/// # Errors
/// When the database fails.
pub async fn reset(
    conn: &mut PgConnection,
    hash: &[u8],
    password_hash: &str,
) -> Result<Option<UserId>, StoreError> {
    let user: Option<Uuid> = sqlx::query_scalar("select account_reset($1, $2)")
        .bind(hash)
        .bind(password_hash)
        .fetch_one(conn)
        .await?;
    Ok(user.map(UserId))
}
