//! What a change under a condition came to.

/// The outcome of a change that may name the version that it was made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// Done.
    Done(T),
    /// There is no such thing.
    Missing,
    /// It has another version by now, and nothing was changed.
    Stale {
        /// The version that it has.
        version: i64,
    },
}

/// The row, if it is there and has the wanted version.
pub(crate) fn expect_version<T>(
    row: Option<T>,
    wanted: Option<i64>,
    version: impl Fn(&T) -> i64,
) -> Changed<T> {
    match row {
        None => Changed::Missing,
        Some(row) if wanted.is_some_and(|wanted| wanted != version(&row)) => Changed::Stale {
            version: version(&row),
        },
        Some(row) => Changed::Done(row),
    }
}
