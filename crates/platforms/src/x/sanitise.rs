//! Repairs the two things that JSON allows and text doesn't.
//!
//! An escape of half a surrogate pair is no character at all, and U+0000 can't be stored by
//! PostgreSQL. Both are replaced by U+FFFD, so that a customer's message is kept rather than refused.

use std::borrow::Cow;

const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// Replaces unpaired surrogate escapes and `\u0000` by `\ufffd`; everything else stays byte for byte.
///
/// Valid JSON has backslashes only inside strings, so escapes can be read without parsing the rest.
/// The length never changes.
#[must_use]
pub fn sanitise(raw: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(raw);
    let mut at = 0;
    while let Some(found) = raw[at..].iter().position(|&b| b == b'\\') {
        at += found;
        match escape_at(raw, at) {
            Escape::Other(len) => at += len,
            Escape::Bad => {
                out.to_mut()[at..at + REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
                at += REPLACEMENT.len();
            }
        }
        if at >= raw.len() {
            break;
        }
    }
    out
}

enum Escape {
    /// An escape of this many bytes that may stay.
    Other(usize),
    /// Six bytes that stand for no storable character.
    Bad,
}

fn escape_at(raw: &[u8], at: usize) -> Escape {
    match unicode_escape(raw, at) {
        // A backslash and the character it escapes: `\\u0041` is a backslash and five letters.
        None => Escape::Other(2),
        Some(0) => Escape::Bad,
        Some(0xD800..=0xDBFF) => match unicode_escape(raw, at + 6) {
            Some(0xDC00..=0xDFFF) => Escape::Other(12),
            _ => Escape::Bad,
        },
        Some(0xDC00..=0xDFFF) => Escape::Bad,
        Some(_) => Escape::Other(6),
    }
}

fn unicode_escape(raw: &[u8], at: usize) -> Option<u16> {
    let escape = raw.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sanitised(raw: &str) -> String {
        String::from_utf8(sanitise(raw.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn lone_surrogates_and_nul_are_replaced() {
        for (raw, want) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ud83dx""#, r#""\ufffdx""#),
            (r#""\udca7\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\uD83D\uD83D\uDCA7""#, r#""\ufffd\uD83D\uDCA7""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\u0000""#, r#""\ufffd""#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
        ] {
            assert_eq!(sanitised(raw), want);
        }
    }

    #[test]
    fn good_text_is_borrowed_and_untouched() {
        for raw in [
            r#"{"a":"plain"}"#,
            r#""\ud83d\udca7""#,
            r#""\u00e9\/\n\"\\""#,
            r#""\\u0000""#,
            r#""\\ud83d""#,
            r#""\\\\ud83d""#,
            r#""\u00""#,
            r#""\"#,
            r#""\u"#,
            r#""\uZZZZ""#,
            "",
        ] {
            let out = sanitise(raw.as_bytes());
            assert!(matches!(out, Cow::Borrowed(_)), "{raw}");
            assert_eq!(&*out, raw.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_string_of_escapes_can_be_read_afterwards(
            parts in prop::collection::vec("(\\\\u(0000|d83d|D8FF|dca7|DfFf|0041)|\\\\\\\\|\\\\\"|\\\\n|u0000|ud83d|a)", 0..12)
        ) {
            let raw = format!("\"{}\"", parts.concat());
            let text: String = serde_json::from_slice(&sanitise(raw.as_bytes())).unwrap();
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(sanitised(&sanitised(&raw)), sanitised(&raw));
        }
    }
}
