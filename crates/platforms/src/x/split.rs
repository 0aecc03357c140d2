//! One webhook POST becomes single events.
//!
//! Both envelopes come in on one path: Account Activity (`for_user_id` and `*_events` arrays) and X
//! Activity (`data.event_type` and `data.payload`). Anything that is a JSON document of X survives:
//! a key or a type we don't know becomes an event under its own name, an element we can't use becomes
//! an event of kind `malformed`. Losing it would be final, for X doesn't send it again.

mod aaa;
mod event;
mod xaa;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use event::{Fault, Parties, RawEvent, kind};

use super::sanitise::sanitise;

/// Nesting that X never comes near, and that every later reader (`serde_json`, PostgreSQL) can take.
const MAX_DEPTH: usize = 100;

/// A POST of 8 MiB holds no more than 40,000 real events; beyond that it is an attack on memory.
const MAX_EVENTS: usize = 50_000;

/// Why a signed body yields no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Not JSON in UTF-8, or nested deeper than any reader should follow.
    #[error("webhook body is not json")]
    NotJson,
    /// A bare number, `true`, `false` or `null`. These are the only JSON documents that could pass as a
    /// CRC token, so a challenge answer can never vouch for a stored event.
    #[error("webhook body is no document of events")]
    NotAnEvent,
    /// More than 50,000 events in one body.
    #[error("webhook body holds too many events")]
    TooManyEvents,
}

/// Splits a POST body whose signature was verified. At least one event comes back, in the order of
/// the document; `\u0000` and lone surrogates are replaced by U+FFFD on the way.
///
/// # Errors
/// [`SplitError`] when the body is no JSON document that could hold events.
pub fn split(raw: &[u8]) -> Result<Vec<RawEvent>, SplitError> {
    let clean = sanitise(raw);
    let text = std::str::from_utf8(&clean).map_err(|_| SplitError::NotJson)?;
    if depth(text) > MAX_DEPTH {
        return Err(SplitError::NotJson);
    }
    let document: &RawValue = serde_json::from_str(text).map_err(|_| SplitError::NotJson)?;
    let mut events = Vec::new();
    match document.get().as_bytes().first() {
        Some(b'{') => {
            let entries: Entries<'_> =
                serde_json::from_str(document.get()).map_err(|_| SplitError::NotJson)?;
            aaa::split_into(&mut events, &entries.0)?;
        }
        Some(b'[' | b'"') => events.push(RawEvent::malformed(document, Fault::NotAnObject)),
        _ => return Err(SplitError::NotAnEvent),
    }
    if events.is_empty() {
        events.push(RawEvent::plain(kind::UNKNOWN, document));
    }
    Ok(events)
}

/// Adds the events of one key: the elements of an array, or the single value that stands in its place.
fn for_each_element(
    events: &mut Vec<RawEvent>,
    value: &RawValue,
    mut read: impl FnMut(&RawValue) -> RawEvent,
) -> Result<(), SplitError> {
    match value.get().as_bytes().first() {
        Some(b'[') => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(value.get()).map_err(|_| SplitError::NotJson)?;
            if events.len() + elements.len() > MAX_EVENTS {
                return Err(SplitError::TooManyEvents);
            }
            events.extend(elements.into_iter().map(read));
        }
        // `null` stands for an empty array.
        Some(b'n') => {}
        _ => events.push(read(value)),
    }
    Ok(())
}

/// The deepest nesting of arrays and objects. `serde_json` skips over raw values without counting.
fn depth(json: &str) -> usize {
    let (mut deepest, mut depth) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The top level in the order of the document, repeated keys kept: nothing signed is dropped.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests;
