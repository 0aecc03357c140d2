//! How a publish can fail.

/// Why a message is not known to be on the broker's disk.
///
/// [`PublishError::TimedOut`], [`PublishError::Blocked`] and
/// [`PublishError::Down`] leave open whether the broker has it: store it
/// elsewhere under the same id and let the consumer absorb the duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection, or it broke before the confirm.
    #[error("cannot publish: the broker is not connected")]
    Down,
    /// The broker has raised an alarm (memory, disk) and takes no messages.
    #[error("cannot publish: the broker blocks publishers")]
    Blocked,
    /// The broker refused it, as a full queue does.
    #[error("cannot publish: the broker refused the message")]
    Nacked,
    /// No queue is bound for it.
    #[error("cannot publish: no queue takes the message")]
    Returned,
    /// No confirm came in time.
    #[error("cannot publish: no confirm in time")]
    TimedOut,
}

impl PublishError {
    /// Label for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Blocked => "blocked",
            Self::Nacked => "nacked",
            Self::Returned => "returned",
            Self::TimedOut => "timed_out",
        }
    }
}
