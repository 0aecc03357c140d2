//! How a statement fails, sorted by what a caller can do about it.

/// A failure of the database or of what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached or has no connection to spare; trying again later may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The transaction lost a race (deadlock, serialisation, lock time-out) and was rolled back.
    #[error("the transaction lost a race and was rolled back")]
    Conflict(#[source] sqlx::Error),
    /// The connection broke while the commit was under way: it may or may not have happened.
    #[error("the outcome of the commit is not known")]
    CommitUnknown(#[source] sqlx::Error),
    /// A named constraint refused the write.
    #[error("constraint `{name}` refused the write")]
    Constraint {
        /// The constraint's name.
        name: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// Anything else: a defect.
    #[error("statement failed")]
    Statement(#[source] sqlx::Error),
    /// A stored value can't be read.
    #[error("stored value is not readable: {0}")]
    Corrupt(String),
    /// A sealed value doesn't open.
    #[error("cannot open a sealed value")]
    Sealed,
    /// A value was sealed with one of the operator's keys that this process doesn't have.
    #[error("cannot open a sealed value: secrets_keys has no key `{id}`")]
    MissingKey {
        /// The key's name.
        id: String,
    },
    /// The task that ran the transaction died.
    #[error("the transaction's task died")]
    Died,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(database) = error.as_database_error() {
            if let Some(name) = database.constraint() {
                return Self::Constraint {
                    name: name.to_owned(),
                    source: error,
                };
            }
            return match database.code().as_deref() {
                Some("40001" | "40P01" | "55P03") => Self::Conflict(error),
                // Shutting down, starting up, out of connections, disk full, cancelled by a time limit.
                Some(code)
                    if code.starts_with("57")
                        || code.starts_with("53")
                        || code.starts_with("08")
                        || matches!(code, "25P03" | "25P04") =>
                {
                    Self::Unavailable(error)
                }
                _ => Self::Statement(error),
            };
        }
        if matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_)
        ) {
            Self::Unavailable(error)
        } else {
            Self::Statement(error)
        }
    }
}

impl StoreError {
    /// Whether the same work may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Conflict(_) | Self::CommitUnknown(_)
        )
    }

    /// Whether the server's time limit ended it. It may be the server's load, or the work itself: the
    /// caller tells by whether other work gets through.
    #[must_use]
    pub fn is_time_out(&self) -> bool {
        let (Self::Unavailable(source) | Self::CommitUnknown(source)) = self else {
            return false;
        };
        let code = source.as_database_error().and_then(|error| error.code());
        // Of a statement, of an idle transaction, of a transaction.
        matches!(code.as_deref(), Some("57014" | "25P03" | "25P04"))
    }
}

/// Whether this constraint is the one that refused.
#[must_use]
pub fn on_constraint(error: &StoreError, wanted: &str) -> bool {
    matches!(error, StoreError::Constraint { name, .. } if name == wanted)
}
