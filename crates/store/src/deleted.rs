//! What a deletion came to.

/// The outcome of deleting what others may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Gone.
    Done,
    /// There is no such thing.
    Missing,
    /// So many others use it, and it stays.
    InUse {
        /// How many.
        count: i64,
    },
}
