//! How JSON from X is read: every field optional, every type checked only where it is needed, so that
//! one odd field never costs the whole event.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An element of `direct_message_events` (X, "Message Create object").
#[derive(Deserialize)]
pub(super) struct MessageEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) created_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) initiated_via: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message_create: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct MessageCreate<'a> {
    #[serde(borrow)]
    pub(super) target: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) sender_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) source_app_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct MessageData<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) entities: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) quick_reply: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) quick_reply_response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) ctas: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attachment: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    recipient_id: Option<&'a RawValue>,
}

/// An element of the typing and the read array.
#[derive(Deserialize)]
pub(super) struct Activity<'a> {
    #[serde(borrow)]
    pub(super) created_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) sender_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) target: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) last_read_event_id: Option<&'a RawValue>,
}

/// `data` of the X Activity envelope.
#[derive(Deserialize)]
pub(super) struct XaaData<'a> {
    #[serde(borrow)]
    pub(super) event_uuid: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) filter: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) payload: Option<&'a RawValue>,
}

/// `payload` of a `chat.*` event: what can be read of an encrypted message.
#[derive(Deserialize)]
pub(super) struct ChatPayload<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) created_at_msec: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) sender_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) conversation_id: Option<&'a RawValue>,
}

/// `payload` of `oauth.revoke`.
#[derive(Deserialize)]
pub(super) struct RevokePayload<'a> {
    #[serde(borrow)]
    pub(super) date_time: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) app_id: Option<&'a RawValue>,
}

/// A JSON object read into `T`; `None` for anything that isn't an object. (Serde alone would also
/// take an array, field by field.)
pub(super) fn object_of<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    if !raw.get().starts_with('{') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// A JSON object as a map; a repeated key counts once, with its last value.
pub(super) fn map_of(raw: &RawValue) -> Option<HashMap<Cow<'_, str>, &RawValue>> {
    object_of(raw)
}

/// A JSON string.
pub(super) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// An id of X: decimal, positive, 63 bits, as a string or as an integer. In JSON text an integer keeps
/// all its digits.
pub(super) fn id_of(raw: &RawValue) -> Option<i64> {
    let digits = text_of(raw).unwrap_or(Cow::Borrowed(raw.get()));
    parse_id(&digits)
}

/// The decimal digits of an id.
pub(super) fn parse_id(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|&id| id > 0)
}

/// Milliseconds of the Unix epoch, as a string (usual) or a number.
pub(super) fn millis_of(raw: &RawValue) -> Option<Timestamp> {
    id_of(raw).and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

/// An ISO 8601 instant with offset.
pub(super) fn instant_of(raw: &RawValue) -> Option<Timestamp> {
    text_of(raw)?.parse().ok()
}

/// `target.recipient_id` of a message or an activity.
pub(super) fn recipient_of(target: Option<&RawValue>) -> Option<i64> {
    object_of::<Target<'_>>(target?)?
        .recipient_id
        .and_then(id_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn ids_are_read_from_strings_and_integers_without_rounding() {
        for (json, want) in [
            (r#""1217536143559995396""#, Some(1_217_536_143_559_995_396)),
            ("1217536143559995397", Some(1_217_536_143_559_995_397)),
            (r#""\u0031\u0032""#, Some(12)),
            (r#""007""#, Some(7)),
            (r#""9223372036854775808""#, None),
            ("0", None),
            ("-5", None),
            ("1.0", None),
            ("1e3", None),
            (r#""12 ""#, None),
            (r#""""#, None),
            ("null", None),
            ("[1]", None),
            ("{}", None),
            ("true", None),
        ] {
            assert_eq!(id_of(&raw(json)), want, "{json}");
        }
    }

    #[test]
    fn an_array_is_not_taken_for_an_object() {
        assert!(object_of::<ChatPayload<'_>>(&raw(r#"["a","b","c","d"]"#)).is_none());
        assert!(object_of::<ChatPayload<'_>>(&raw("{}")).is_some());
    }
}
