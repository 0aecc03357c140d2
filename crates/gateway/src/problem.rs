//! The only type that becomes an error response: RFC 9457, with a stable code.

mod help;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use roost_store::{Changed, Deleted, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// Every code that an answer can carry, with its status and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// All of them, in the order of their statuses.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable name.
            #[must_use]
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub(crate) fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// What it means, in a few words.
            #[must_use]
            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "The request breaks the schema";
    InvalidJson = "invalid_json", 400, "The body is not valid JSON";
    InvalidCursor = "invalid_cursor", 400, "The cursor is not one of ours";
    CannotMergeWithItself = "cannot_merge_with_itself", 400, "A contact can't be merged with itself";
    CursorMismatch = "cursor_mismatch", 400, "The cursor belongs to another filter, order or brand";
    Unauthenticated = "unauthenticated", 401, "A valid access token is needed";
    InvalidCredentials = "invalid_credentials", 401, "Address or password are wrong";
    TotpRequired = "totp_required", 401, "A code of the second factor is needed";
    SessionEnded = "session_ended", 401, "The session has ended";
    Forbidden = "forbidden", 403, "The role doesn't allow this";
    TwoFactorRequired = "two_factor_required", 403, "The brand asks for a second factor: set one up first";
    StepUpRequired = "step_up_required", 403, "Prove again who you are: sign in anew";
    EmailUnverified = "email_unverified", 403, "Prove your own mail address first";
    OriginRefused = "origin_refused", 403, "The request comes from a foreign page";
    NotFound = "not_found", 404, "There is no such thing";
    MethodNotAllowed = "method_not_allowed", 405, "This address doesn't take this method";
    RequestTimeout = "request_timeout", 408, "The body did not arrive in time";
    IdempotencyInProgress = "idempotency_in_progress", 409, "A request with this key is still under way";
    VersionConflict = "version_conflict", 409, "It has changed since";
    EmailTaken = "email_taken", 409, "The address has an account already";
    NameTaken = "name_taken", 409, "The name is in use";
    InUse = "in_use", 409, "It is in use";
    ReapplyInProgress = "reapply_in_progress", 409, "Running clocks are being moved already";
    ConversationExists = "conversation_exists", 409, "The customer has an open conversation already";
    AlreadyMember = "already_member", 409, "The person has a seat in this brand already";
    AlreadyEnabled = "already_enabled", 409, "The second factor is on already";
    AlreadyMerged = "already_merged", 409, "One of the contacts was merged already";
    TooLate = "too_late", 409, "It can't be undone any more";
    NobodyWaits = "nobody_waits", 409, "The customer waits for no reply";
    NothingToUndo = "nothing_to_undo", 409, "There is nothing to undo";
    KeyRevoked = "key_revoked", 409, "The API key was revoked";
    DefaultTeam = "default_team", 409, "A brand keeps its default team";
    LastOwner = "last_owner", 409, "A brand keeps an active owner";
    AlreadySending = "already_sending", 409, "It can't be cancelled any more";
    NotRetryable = "not_retryable", 409, "It can't be sent again in this state";
    NotUnconfirmed = "not_unconfirmed", 409, "Its outcome is known";
    CursorExpired = "cursor_expired", 410, "The feed doesn't reach back that far";
    Erased = "erased", 410, "The contact was erased";
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", 415, "The address doesn't take a body of this type";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "This key belongs to another request";
    TokenInvalid = "token_invalid", 422, "The link is not valid any more";
    ProofWrong = "proof_wrong", 422, "Password or code are wrong";
    AttributeInvalid = "attribute_invalid", 422, "The value doesn't fit the attribute's definition";
    ContactUnreachable = "contact_unreachable", 422, "The customer can't be written to";
    ContactBlocked = "contact_blocked", 422, "The contact is blocked";
    QuotaExceeded = "quota_exceeded", 422, "The brand's limit is reached";
    TestMode = "test_mode", 422, "A test key reaches sandbox channels only";
    UnknownReference = "unknown_reference", 422, "It refers to something that doesn't exist";
    TextTooLong = "text_too_long", 422, "The platform doesn't take a text of that length";
    ChannelDisconnected = "channel_disconnected", 422, "The account is no longer connected";
    ClientRefReused = "client_ref_reused", 422, "Another message has this reference";
    MemberCannotTake = "member_cannot_take", 422, "This member can't take conversations";
    BotMember = "bot_member", 422, "The member belongs to an API key: change that";
    CatchAllRequired = "catch_all_required", 422, "The last policy must hold for every conversation";
    PolicyNeverReached = "policy_never_reached", 422, "A policy without conditions hides those after it";
    ConfirmationNeeded = "confirmation_needed", 422, "This has consequences: confirm it";
    ConnectExpired = "connect_expired", 422, "The connection was not begun here or took too long";
    ConnectDenied = "connect_denied", 422, "The account's owner did not agree";
    RateLimited = "rate_limited", 429, "Too many requests";
    Internal = "internal", 500, "Something broke on our side";
    PlatformFailed = "platform_failed", 502, "The platform refused or can't be reached";
    Unavailable = "unavailable", 503, "A part that is needed is away";
    Busy = "busy", 503, "Too much at once";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// Whether the same request may succeed later.
    #[must_use]
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self.status(), 408 | 429 | 502 | 503) || self == Self::IdempotencyInProgress
    }
}

/// One fault of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// A JSON pointer into the body; `/query/<name>` for a query parameter.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// An error response in the making.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    // Boxed, so that a result is no larger for the problem that it rarely holds.
    particulars: Box<Particulars>,
}

#[derive(Debug)]
struct Particulars {
    detail: String,
    faults: Vec<Fault>,
    retry_after: Option<u64>,
    allow: Option<String>,
    extra: Vec<(&'static str, serde_json::Value)>,
    cause: Option<String>,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it means here.
    pub detail: String,
    /// Stable.
    pub code: &'static str,
    /// The request's id, for support.
    pub request_id: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Faults of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

impl Problem {
    /// A problem whose title says it all.
    #[must_use]
    pub(crate) fn new(code: Code) -> Self {
        Self::with(code, code.title())
    }

    /// A problem with a word on this case.
    #[must_use]
    pub(crate) fn with(code: Code, detail: impl Into<String>) -> Self {
        let particulars = Particulars {
            detail: detail.into(),
            faults: Vec::new(),
            retry_after: (code.status() == 503).then_some(1),
            allow: None,
            extra: Vec::new(),
            cause: None,
        };
        Self {
            code,
            particulars: Box::new(particulars),
        }
    }

    /// Input that breaks the schema.
    #[must_use]
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        Self::new(Code::InvalidRequest).faults(faults)
    }

    /// One fault of the input.
    #[must_use]
    pub(crate) fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        Self::new(code).faults(vec![Fault { pointer, detail }])
    }

    /// What there is none of. A foreign id and a missing one give the same answer.
    #[must_use]
    pub(crate) fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// A defect or a failed part; the cause is logged and never sent.
    #[must_use]
    pub(crate) fn caused(code: Code, cause: impl fmt::Display) -> Self {
        let mut problem = Self::new(code);
        problem.particulars.cause = Some(cause.to_string());
        problem
    }

    /// Names what it is about.
    #[must_use]
    pub(crate) fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.particulars.faults = faults;
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.particulars.retry_after = Some(seconds.max(1));
        self
    }

    /// Adds a member to the body.
    #[must_use]
    pub(crate) fn extra(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.particulars.extra.push((name, value));
        self
    }

    /// The code.
    #[must_use]
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn faults_for_test(&self) -> &[Fault] {
        &self.particulars.faults
    }

    /// Whether the same request would be refused again, whatever else happens.
    #[must_use]
    pub(crate) fn is_final(&self) -> bool {
        self.code.status() < 500 && !self.code.is_retryable()
    }

    /// Says which methods the address takes.
    #[must_use]
    pub(crate) fn allow(mut self, methods: String) -> Self {
        self.particulars.allow = Some(methods);
        self
    }

    /// What went wrong inside, for the log.
    #[must_use]
    pub(crate) fn cause(&self) -> Option<&str> {
        self.particulars.cause.as_deref()
    }

    /// The body, with the request's id.
    #[must_use]
    pub(crate) fn body(&self, request_id: Option<&str>) -> serde_json::Value {
        let body = ProblemBody {
            kind: format!("/docs/problems#{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: self.particulars.detail.clone(),
            code: self.code.as_str(),
            request_id: request_id.map(str::to_owned),
            retryable: self.code.is_retryable(),
            errors: self.particulars.faults.clone(),
        };
        let mut body = serde_json::to_value(body).unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            let extra = self.particulars.extra.iter();
            body.extend(extra.map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        body
    }

    /// The response, with the request's id.
    #[must_use]
    pub(crate) fn response(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if self.code.status() == 401 {
            response.insert_header(("www-authenticate", "Bearer"));
        }
        if let Some(seconds) = self.particulars.retry_after {
            response.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if let Some(methods) = &self.particulars.allow {
            response.insert_header((ALLOW, methods.as_str()));
        }
        response.body(self.body(request_id).to_string())
    }
}

/// What a conditional change gave, or why it was not made.
pub(crate) fn changed<T>(outcome: Changed<T>) -> Result<T, Problem> {
    match outcome {
        Changed::Done(value) => Ok(value),
        Changed::Missing => Err(Problem::not_found()),
        Changed::Stale { version } => Err(stale(version)),
    }
}

/// Refuses a change that is made on another version than the present one.
pub(crate) fn expect_version(wanted: Option<i64>, present: i64) -> Result<(), Problem> {
    match wanted {
        Some(wanted) if wanted != present => Err(stale(present)),
        _ => Ok(()),
    }
}

fn stale(version: i64) -> Problem {
    Problem::new(Code::VersionConflict).extra("current_version", version.into())
}

/// Why something was not deleted, if it wasn't.
pub(crate) fn deleted(outcome: Deleted) -> Result<(), Problem> {
    match outcome {
        Deleted::Done => Ok(()),
        Deleted::Missing => Err(Problem::not_found()),
        Deleted::InUse { count } => Err(Problem::new(Code::InUse).extra("count", count.into())),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response(None)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) | StoreError::CommitUnknown(_) => Code::Unavailable,
            StoreError::Conflict(_) => Code::Busy,
            StoreError::Constraint { .. }
            | StoreError::Statement(_)
            | StoreError::Corrupt(_)
            | StoreError::Sealed
            | StoreError::MissingKey { .. }
            | StoreError::Died => Code::Internal,
        };
        Self::caused(code, chain(&error))
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_their_statuses_are_errors() {
        let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            Code::ALL
                .iter()
                .all(|code| (400..600).contains(&code.status()))
        );
    }
}
