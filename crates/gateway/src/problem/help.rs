//! What a client does about each code.

use super::Code;

impl Code {
    /// What brought it about and what helps, in a sentence or two.
    #[must_use]
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "`errors` names each fault by a JSON pointer into the body, or by `/query/<name>` for a parameter. Unknown fields and parameters are faults too. Correct the request; the same one fails again."
            }
            Self::InvalidJson => {
                "The body doesn't parse, or holds half a surrogate pair. `detail` says where."
            }
            Self::InvalidCursor => {
                "Cursors are opaque: send `next_cursor` back as it came, or start without one."
            }
            Self::CursorMismatch => {
                "A cursor goes on with the list that made it: same address, filters and sort. Start anew without a cursor."
            }
            Self::Unauthenticated => {
                "Send `Authorization: Bearer …` with an access token or an API key. An access token lasts 15 minutes: get the next from `POST /v1/sessions/refresh`. A key that was revoked or has run out looks like one that never was."
            }
            Self::InvalidCredentials => {
                "Which of the two is wrong is not said. Ask for a new password by `POST /v1/password-resets`."
            }
            Self::TotpRequired => {
                "Sign in again with `totp`: a code of the authenticator app, or a recovery code."
            }
            Self::SessionEnded => "It was signed out, replaced, or ran out. Sign in again.",
            Self::Forbidden => {
                "`detail` names the permission that role or key lacks. Roles and scopes stand in permissions.md."
            }
            Self::TwoFactorRequired => {
                "The brand asks everybody for a second factor. Until you have one (`POST /v1/me/totp`) only `/v1/me` and `/v1/sessions` answer."
            }
            Self::EmailUnverified => {
                "Open the link in the mail of your sign-up, or ask for another by `POST /v1/email-verifications`."
            }
            Self::StepUpRequired => {
                "The last proof of who you are is too old for this. Sign in again, then repeat the request."
            }
            Self::OriginRefused => {
                "A page of a foreign origin made a browser ask. The operator lists the origins that may (`cors_origins`)."
            }
            Self::NotFound => "No such thing, or it isn't yours: both look the same.",
            Self::MethodNotAllowed => "The `Allow` header lists the methods of this address.",
            Self::RequestTimeout => "The body came too slowly. Send it again.",
            Self::IdempotencyInProgress => {
                "Another request with this `Idempotency-Key` has not ended. Repeat after `Retry-After`: you get its answer."
            }
            Self::VersionConflict => {
                "Your `If-Match` is older than `current_version`; `errors` names the fields that changed since. Read it again and decide anew."
            }
            Self::EmailTaken => "Sign in, or ask for a new password.",
            Self::NameTaken => "Names of this kind are unique in a brand, whatever their case.",
            Self::InUse => "`count` says how many refer to it. Change those first.",
            Self::ReapplyInProgress => {
                "`GET /v1/sla-policies/{id}/reapplies` tells how far it is. Ask again when it has finished."
            }
            Self::ConversationExists => {
                "A customer has one unresolved conversation at a time over a channel. `conversation_id` is that one: write there."
            }
            Self::CannotMergeWithItself => "A merge needs two contacts.",
            Self::AlreadyEnabled => "Turn it off first.",
            Self::AlreadyMember => "The person can sign in and switch to this brand.",
            Self::AlreadyMerged => {
                "A merged contact can't be merged again before that merge is undone."
            }
            Self::TooLate => "The time for it is over, or the customer has written since.",
            Self::NobodyWaits => "Everything that the customer wrote was answered or set aside.",
            Self::NothingToUndo => {
                "The last change was not one that can be undone, or was undone already."
            }
            Self::KeyRevoked => "A revoked key stays revoked: make another one.",
            Self::BotMember => {
                "The member belongs to an API key: what it may do is changed at `/v1/api-keys`."
            }
            Self::DefaultTeam => "Make another team the default first.",
            Self::LastOwner => "Make somebody else an owner first.",
            Self::AlreadySending => "It is on its way. Its outcome comes as an event.",
            Self::NotRetryable => {
                "Only a failed reply can be sent again, or one that needs a decision."
            }
            Self::NotUnconfirmed => "Only a reply of unknown outcome can be marked as sent.",
            Self::CursorExpired => {
                "The feed reaches back 30 days. `oldest` is the oldest cursor: read your state anew, then go on from there."
            }
            Self::Erased => "Its data were erased for good.",
            Self::BodyTooLarge => "JSON bodies have at most 256 KiB, an iCalendar file 1 MiB.",
            Self::UnsupportedMediaType => {
                "Send JSON with `Content-Type: application/json`; an iCalendar file is `text/calendar`."
            }
            Self::ProofWrong => "You stay signed in: try again.",
            Self::TokenInvalid => "It was used, replaced, or has run out. Ask for a new mail.",
            Self::AttributeInvalid => "`errors` says what the definition asks for.",
            Self::ContactUnreachable => {
                "The platform doesn't let the account write to this customer first. They have to write, or open their messages."
            }
            Self::ContactBlocked => "Unblock the contact first.",
            Self::QuotaExceeded => {
                "`GET /v1/usage` shows limits and when they start anew. The operator can raise them."
            }
            Self::TestMode => {
                "A key that begins with `rk_test_` reaches sandbox channels only; use a live key."
            }
            Self::IdempotencyKeyReused => {
                "A key belongs to one request: address and body. Use a new key for another one."
            }
            Self::UnknownReference => "`errors` points at the id that names nothing of this brand.",
            Self::TextTooLong => "`GET /v1/channels/{id}/capabilities` tells a channel's limits.",
            Self::ChannelDisconnected => "Connect the account again, then repeat.",
            Self::ClientRefReused => "Use a new `client_ref` for another text.",
            Self::MemberCannotTake => {
                "The member is deactivated, or has a role that may not reply."
            }
            Self::CatchAllRequired => {
                "The first policy that matches holds, so the last one has no conditions: every conversation has a policy. Put another one without conditions last first."
            }
            Self::PolicyNeverReached => {
                "Give it conditions, or put it last: only the last policy holds for every conversation."
            }
            Self::ConfirmationNeeded => {
                "Repeat with the confirmation that `errors` points at, if you mean it."
            }
            Self::ConnectExpired => {
                "Begin again in the browser that is to come back; there are ten minutes."
            }
            Self::ConnectDenied => "The account's owner pressed Cancel on the platform.",
            Self::RateLimited => {
                "Wait `Retry-After` seconds. `RateLimit` tells what is left of each allowance on every answer."
            }
            Self::Internal => {
                "A defect of ours. It is logged under `request_id`; tell it to the operator. Nothing was changed."
            }
            Self::PlatformFailed => {
                "The platform answered with an error or not at all. Try again later."
            }
            Self::Unavailable => {
                "The database or another part can't be reached. Repeat after `Retry-After`, with the same `Idempotency-Key`."
            }
            Self::Busy => "Repeat after `Retry-After`.",
        }
    }
}
