//! What came of a call, in words that the rest of Roost can act on.

use std::time::Duration;

use jiff::Timestamp;

use super::{Broken, RateLimits};

/// What came of one send.
#[derive(Debug, Clone)]
pub struct SendReport {
    /// The verdict.
    pub outcome: SendOutcome,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The limits that came with the answer.
    pub limits: Option<RateLimits>,
}

/// Whether a message was sent. There are three answers, and the third is not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// X took it and named it.
    Accepted {
        /// X's event id, in canonical decimal.
        event_id: String,
        /// The same as a number.
        event_no: i64,
        /// X's time: given by v1.1, else the one inside the id.
        sent_at: Timestamp,
    },
    /// Certain: X didn't take it.
    Refused(Refusal),
    /// The request may have been obeyed. Only an echo or a look-up can tell; never send it again blindly.
    Unknown {
        /// What was seen, without text of the message.
        detail: String,
    },
}

/// A certain "no".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as a stable word.
    pub code: RefusalCode,
    /// The HTTP status; `None` when nothing was sent.
    pub status: Option<u16>,
    /// X's numeric code, where it gave one.
    pub platform_code: Option<i64>,
    /// X's own words, shortened.
    pub detail: String,
    /// What may be done.
    pub retry: Retry,
}

/// When a refused call may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would be refused again.
    Never,
    /// Soon, with back-off: nothing was sent.
    Backoff,
    /// Not before this instant.
    At(Timestamp),
    /// Not before this much time has passed.
    After(Duration),
    /// Once the account has been connected anew.
    AfterReauth,
}

/// What a refusal says about more than the one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This call only.
    Message,
    /// Everything to this recipient.
    Contact,
    /// Everything from this account.
    Channel,
    /// Everything of this app: an operator must act.
    App,
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $scope:ident;)+) => {
        /// Why X refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)+
        }

        impl RefusalCode {
            /// The stable word for API, storage and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What else it concerns.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ }
            }
        }
    };
}

refusal_codes! {
    /// No connection could be made, or the request couldn't be built.
    NotSent = "not_sent", Message;
    /// Too many calls in the window.
    RateLimited = "rate_limited", Channel;
    /// The app's plan is used up for the period.
    UsageCapped = "usage_capped", App;
    /// The account's daily ceiling is reached.
    DailyLimit = "daily_limit", Channel;
    /// The account's token is dead.
    ReauthRequired = "reauth_required", Channel;
    /// The app or the token lacks a permission; the account must connect again after it was given.
    PermissionMissing = "permission_missing", Channel;
    /// Keys are wrong or our clock is off.
    AppMisconfigured = "app_misconfigured", App;
    /// X restricts the app, or its plan lacks this call.
    AppRestricted = "app_restricted", App;
    /// The recipient doesn't take messages from us, or is gone.
    ContactUnreachable = "contact_unreachable", Contact;
    /// The account itself has blocked the recipient.
    ContactBlocked = "contact_blocked", Contact;
    /// The account is suspended.
    ChannelSuspended = "channel_suspended", Channel;
    /// The account is locked until a person signs in to X.
    ChannelLocked = "channel_locked", Channel;
    /// The account's settings at X stand in the way.
    ChannelSettings = "channel_settings", Channel;
    /// X takes the account for a machine.
    LooksAutomated = "looks_automated", Channel;
    /// X failed to send it and says so.
    SendFailed = "send_failed", Message;
    /// The text is too long.
    TextTooLong = "text_too_long", Message;
    /// The attachment was refused or is gone.
    MediaRejected = "media_rejected", Message;
    /// Forbidden, with no reason that we know.
    Forbidden = "forbidden", Message;
    /// No such address.
    NotFound = "not_found", Message;
    /// X finds the request wrong.
    InvalidRequest = "invalid_request", Message;
    /// Quick replies and buttons exist in v1.1 only.
    UnsupportedByApi = "unsupported_by_api", Message;
}

/// Why a call other than a send gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection, or no answer in time.
    #[error("cannot reach x: {0}")]
    Unreachable(String),
    /// X is down or overloaded.
    #[error("x answers with status {0}")]
    Unavailable(u16),
    /// X says no.
    #[error("x refuses: {} ({})", .0.code.as_str(), .0.detail)]
    Refused(Refusal),
    /// A success that lacks what it should bring.
    #[error("answer of x has no usable {0}")]
    Unexpected(&'static str),
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::NotSent(detail) | Broken::Lost(detail) => Self::Unreachable(detail),
        }
    }
}
