//! The sandbox: a platform without a network, for trying out an integration.
//!
//! A customer's message is written by whoever tests; a reply is taken at once, or comes to grief in the
//! way that its text asks for. Nothing here opens a connection.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::x::client::{ApiError, RefusalCode, Retry};
use crate::x::client::{Refusal, SendOutcome, SendReport, refusal_of};
use crate::x::normalise::{PlatformMessage, Profile, Profiles};
use crate::x::snowflake;

/// The platform's name.
pub const PLATFORM: &str = "sandbox";
/// The app that every sandbox account belongs to.
pub const APP: &str = "sandbox";
/// The kind of a message's event, as X's are called.
pub const KIND: &str = "dm";

/// A simulated customer's message, as it travels through the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerMessage {
    /// The event's id.
    pub id: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it: the account id of a simulated customer is their handle in lower case.
    pub handle: String,
    /// Their display name.
    pub name: Option<String>,
    /// What they wrote.
    pub text: String,
}

impl CustomerMessage {
    /// The account id of whoever has this handle.
    #[must_use]
    pub fn account_of(handle: &str) -> String {
        handle.to_ascii_lowercase()
    }
}

/// Reads an event of a sandbox account.
///
/// # Errors
/// When it isn't one that we wrote.
pub fn normalise(account_id: &str, body: &RawValue) -> serde_json::Result<PlatformMessage> {
    let message: CustomerMessage = serde_json::from_str(body.get())?;
    let sender_id = CustomerMessage::account_of(&message.handle);
    Ok(PlatformMessage {
        event_id: message.id.to_string(),
        event_no: message.id,
        sent_at: message.at,
        recipient_id: account_id.to_owned(),
        text: message.text,
        entities: Value::Null,
        attachments: Vec::new(),
        quick_replies: Value::Null,
        buttons: Value::Null,
        quick_reply_answer: None,
        initiated_via: None,
        source_app_id: None,
        profiles: Profiles::of(Profile {
            id: sender_id.clone(),
            name: message.name,
            handle: Some(message.handle),
            avatar_url: None,
        }),
        sender_id,
    })
}

/// An id such as X gives: the time in its high bits, `low` in the others.
#[must_use]
pub fn event_id(at: Timestamp, low: u32) -> i64 {
    snowflake::first_of(at) | i64::from(low & 0x3f_ffff)
}

/// Takes a reply, or does what its text asks for:
///
/// - `/fail CODE`: refuses it as X does with that code of its own, such as 349;
/// - `/unknown`: gives no answer, so that nobody knows whether it was sent.
#[must_use]
pub fn send(text: &str, now: Timestamp, low: u32) -> SendReport {
    let mut words = text.split_whitespace();
    let outcome = match (words.next(), words.next(), words.next()) {
        (Some("/unknown"), None, None) => SendOutcome::Unknown {
            detail: "no answer, as the text asked for".to_owned(),
        },
        (Some("/fail"), Some(code), None) => refused(code, now),
        _ => {
            let event_no = event_id(now, low);
            SendOutcome::Accepted {
                event_id: event_no.to_string(),
                event_no,
                sent_at: snowflake::time_of(event_no),
            }
        }
    };
    SendReport {
        outcome,
        status: None,
        limits: None,
    }
}

fn refused(code: &str, now: Timestamp) -> SendOutcome {
    let Ok(code) = code.parse() else {
        return SendOutcome::Refused(Refusal {
            code: RefusalCode::InvalidRequest,
            status: None,
            platform_code: None,
            detail: "/fail takes one of X's numeric codes".to_owned(),
            retry: Retry::Never,
        });
    };
    match refusal_of(code, now) {
        Some(refusal) => SendOutcome::Refused(Refusal {
            status: None,
            ..refusal
        }),
        None => SendOutcome::Unknown {
            detail: format!("code {code} leaves the outcome open"),
        },
    }
}

/// What a look-up of a reply in doubt finds out: nothing, so that a person has to decide.
#[must_use]
pub fn look_up() -> ApiError {
    ApiError::Unreachable("the sandbox keeps an unconfirmed reply unconfirmed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00.123Z".parse().unwrap()
    }

    #[test]
    fn a_customers_message_is_read_as_it_was_written() {
        let written = CustomerMessage {
            id: event_id(now(), 7),
            at: now(),
            handle: "Casey_1".to_owned(),
            name: Some("Casey".to_owned()),
            text: "Where is it? 🙂".to_owned(),
        };
        let body = serde_json::value::to_raw_value(&written).unwrap();
        let read = normalise("acct", &body).unwrap();
        assert_eq!(
            (read.sender_id.as_str(), read.recipient_id.as_str()),
            ("casey_1", "acct")
        );
        assert_eq!((read.event_no, read.sent_at), (written.id, now()));
        assert_eq!(read.text, written.text);
        let profile = read.profile("casey_1").unwrap();
        assert_eq!(profile.handle.as_deref(), Some("Casey_1"));
        let other = RawValue::from_string("{\"id\":\"x\"}".to_owned()).unwrap();
        assert!(normalise("acct", &other).is_err());
    }

    #[test]
    fn ids_hold_their_time_and_differ_in_the_low_bits() {
        let id = event_id(now(), u32::MAX);
        assert_eq!(snowflake::time_of(id), now());
        assert_ne!(id, event_id(now(), 0));
    }

    #[test]
    fn a_reply_is_taken_unless_its_text_asks_for_trouble() {
        for text in [
            "On its way",
            "/failure is no option",
            "/fail",
            "see /unknown",
            "/fail 349 now",
        ] {
            let report = send(text, now(), 1);
            assert!(
                matches!(report.outcome, SendOutcome::Accepted { .. }),
                "{text}"
            );
        }
        assert!(matches!(
            send(" /unknown ", now(), 1).outcome,
            SendOutcome::Unknown { .. }
        ));
        for (text, code) in [
            ("/fail 349", RefusalCode::ContactUnreachable),
            ("/fail 89", RefusalCode::ReauthRequired),
            ("/fail 88", RefusalCode::RateLimited),
            ("/fail often", RefusalCode::InvalidRequest),
        ] {
            let SendOutcome::Refused(refusal) = send(text, now(), 1).outcome else {
                panic!("{text} was not refused");
            };
            assert_eq!(refusal.code, code, "{text}");
        }
        // X's own "internal error" says nothing of the message.
        assert!(matches!(
            send("/fail 131", now(), 1).outcome,
            SendOutcome::Unknown { .. }
        ));
    }
}
