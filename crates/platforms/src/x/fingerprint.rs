//! Recognises a text of ours in the shape in which X gives it back.
//!
//! X returns a sent text changed: every link, also a bare `example.com`, becomes `https://t.co/…`, and
//! `&`, `<` and `>` may be escaped. Two texts that differ only in such things have one fingerprint.
//! That is looser than equality; the caller also compares account, counterpart and time.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// Stands for every word that holds a link. It can't be typed: X strips control characters.
const LINK: &str = "\u{1}";

/// SHA-256 over the text after normalising.
#[must_use]
pub fn fingerprint(text: &str) -> [u8; 32] {
    Sha256::digest(normalised(text).as_bytes()).into()
}

fn normalised(text: &str) -> String {
    let text: String = unescaped(text).nfc().collect();
    let words = text
        .split_whitespace()
        .map(|word| if holds_a_link(word) { LINK } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Decodes until nothing changes: whether X escapes or not, the sent and the returned form meet. The
/// rounds are bounded, for a long text of nested escapes would take one round for each.
fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..8 {
        if !["&amp;", "&lt;", "&gt;"]
            .iter()
            .any(|entity| text.contains(entity))
        {
            break;
        }
        text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
    }
    text
}

/// The whole word counts, with brackets and punctuation around the link: where exactly X thinks that
/// a link begins and ends is X's secret.
fn holds_a_link(word: &str) -> bool {
    let lower = word.to_lowercase();
    lower.contains("http://") || lower.contains("https://") || holds_a_domain(&lower)
}

/// A dot with a letter or digit before it and two letters after it.
fn holds_a_domain(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    chars.windows(4).any(|w| {
        w[0].is_alphanumeric() && w[1] == '.' && w[2].is_alphabetic() && w[3].is_alphabetic()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_x_returns_equals_what_was_sent() {
        for (sent, returned) in [
            ("hello", "hello"),
            (" hello\r\nthere ", "hello\nthere"),
            (
                "see https://example.com/help?a=1&b=2",
                "see https://t.co/AbCdEfGhIj",
            ),
            ("see HTTP://Example.com.", "see https://t.co/AbCdEfGhIj."),
            (
                "(example.com/help) is it",
                "(https://t.co/AbCdEfGhIj) is it",
            ),
            (
                "two: https://a.example https://b.example",
                "two: https://t.co/1 https://t.co/2",
            ),
            ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
            ("type &amp; literally", "type &amp;amp; literally"),
            ("cafe\u{301}", "caf\u{e9}"),
            (
                "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
                "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            ),
        ] {
            assert_eq!(
                fingerprint(sent),
                fingerprint(returned),
                "{sent:?} / {returned:?}"
            );
        }
    }

    #[test]
    fn other_texts_have_other_fingerprints() {
        for (one, other) in [
            ("yes", "no"),
            ("yes", "Yes"),
            ("costs 3.50", "costs 3.60"),
            (
                "see https://example.com now",
                "see https://example.com later",
            ),
            ("a https://t.co/1", "a https://t.co/1 https://t.co/2"),
            ("", "a"),
        ] {
            assert_ne!(fingerprint(one), fingerprint(other), "{one:?} / {other:?}");
        }
    }

    proptest! {
        #[test]
        fn escaping_by_the_platform_never_matters(text in "[a-z&;<> .\\n]{0,40}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(fingerprint(&text), fingerprint(&escaped));
        }
    }
}
