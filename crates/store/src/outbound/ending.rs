//! How attempts end.

use jiff::Timestamp;

use crate::budgets::Budget;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The platform has it.
    Accepted {
        /// The platform's id of the message.
        platform_event_id: String,
        /// The same as a number.
        event_no: i64,
        /// The platform's time of the message.
        sent_at: Timestamp,
    },
    /// Certain: not sent, and worth another try.
    NotSent {
        /// When; without, a back-off by the number of attempts.
        not_before: Option<Timestamp>,
        /// Why, as a stable word.
        code: String,
        /// The platform's words, or ours.
        detail: String,
    },
    /// Certain: not sent, because the account's token is dead.
    NeedsReauth {
        /// Why, as a stable word.
        code: String,
        /// The platform's words.
        detail: String,
    },
    /// Certain: refused, and it would be again.
    Failed {
        /// Why, as a stable word.
        code: String,
        /// The platform's words.
        detail: String,
    },
    /// It may have been sent.
    Unknown {
        /// What was seen.
        detail: String,
    },
}

impl Ending {
    /// Its label in `send_attempts` and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::NotSent { .. } => "not_sent",
            Self::NeedsReauth { .. } => "reauth_required",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Accepted { .. } => None,
            Self::NotSent { detail, .. }
            | Self::NeedsReauth { detail, .. }
            | Self::Failed { detail, .. }
            | Self::Unknown { detail } => Some(detail),
        }
    }
}

/// Who may send nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The account.
    Channel(Timestamp),
    /// Every account of the app.
    App(Timestamp),
}

/// An attempt's end and what the answer told beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub ending: Ending,
    /// The HTTP status, when there was an answer.
    pub http_status: Option<u16>,
    /// The account's window.
    pub budget: Option<Budget>,
    /// A refusal that concerns more than this message.
    pub pause: Option<Pause>,
}
