//! The bodies of deliveries, byte by byte as the platform writes them.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use serde_json::{Map, Value, json};

use super::Happening;
use crate::config::Escape;
use crate::random;
use crate::state::{Sim, World};

/// An Account Activity body: one event, flat users, escaped.
pub(crate) fn account_activity(sim: &Sim, world: &World, happening: &Happening<'_>) -> Vec<u8> {
    let users = happening
        .participants
        .iter()
        .filter_map(|id| world.accounts.get(*id));
    let users: Map<_, _> = users.map(|user| (user.id.to_string(), user.v1())).collect();
    let mut body = Map::new();
    body.insert("for_user_id".into(), json!(happening.user));
    body.insert(happening.aaa_key.into(), json!([happening.element]));
    if let Some(app) = happening.app_id {
        body.insert("apps".into(), sim.config.apps_map([app.to_owned()]));
    }
    body.insert("users".into(), Value::Object(users));
    escaped(&Value::Object(body), sim.config.escape)
}

/// An X Activity body: v2 users wrapped in `data`, an `event_uuid` that may be negative.
pub(crate) fn activity(world: &World, happening: &Happening<'_>, tag: Option<&str>) -> Vec<u8> {
    let users = happening
        .participants
        .iter()
        .filter_map(|id| world.accounts.get(*id));
    let users: Map<_, _> = users
        .map(|user| (user.id.to_string(), json!({ "data": user.v2() })))
        .collect();
    let payload = if happening.aaa_key.is_empty() {
        happening.element.clone()
    } else {
        json!({ happening.aaa_key: [happening.element], "users": users })
    };
    let filter = json!({ "user_id": happening.user });
    activity_envelope(happening.xaa_type, &filter, tag, payload)
}

/// The envelope alone.
pub(crate) fn activity_envelope(
    event_type: &str,
    filter: &Value,
    tag: Option<&str>,
    payload: Value,
) -> Vec<u8> {
    let mut data = json!({
        "event_uuid": random::event_uuid(),
        "filter": filter,
        "event_type": event_type,
        "payload": payload,
    });
    if let Some(tag) = tag {
        data["tag"] = json!(tag);
    }
    escaped(&json!({ "data": data }), Escape::None)
}

/// JSON with the escapes of the setting.
pub(crate) fn escaped(value: &Value, escape: Escape) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Escaping(escape));
    // Writing a `Value` to memory has no way to fail.
    value.serialize(&mut serializer).ok();
    bytes
}

struct Escaping(Escape);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.0 == Escape::None {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        let mut utf8 = [0; 4];
        for char in fragment.chars() {
            match char {
                '/' => writer.write_all(b"\\/")?,
                _ if char.is_ascii() || self.0 == Escape::Slashes => {
                    writer.write_all(char.encode_utf8(&mut utf8).as_bytes())?;
                }
                _ => {
                    for unit in char.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        CompactFormatter.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_emoji_are_escaped_and_mean_the_same() {
        let value = json!({ "t": "a/b \"é\" 🦉\n" });
        let full = escaped(&value, Escape::Full);
        assert_eq!(
            String::from_utf8_lossy(&full),
            r#"{"t":"a\/b \"\u00e9\" \ud83e\udd89\n"}"#
        );
        assert_eq!(
            String::from_utf8_lossy(&escaped(&value, Escape::Slashes)),
            "{\"t\":\"a\\/b \\\"é\\\" 🦉\\n\"}"
        );
        for escape in [Escape::Full, Escape::Slashes, Escape::None] {
            let back: Value = serde_json::from_slice(&escaped(&value, escape)).expect("JSON");
            assert_eq!(back, value);
        }
    }
}
