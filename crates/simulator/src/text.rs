//! What the platform does to the text of a message: links become t.co, things become entities.
//!
//! Indices count Unicode code points, as in the v1.1 entity convention.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A link that was rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UrlEntity {
    pub(crate) url: String,
    pub(crate) expanded_url: String,
    pub(crate) display_url: String,
    pub(crate) indices: [usize; 2],
}

/// A hashtag or a cashtag, without its sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagEntity {
    pub(crate) text: String,
    pub(crate) indices: [usize; 2],
}

/// An `@handle`, without its sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mention {
    pub(crate) handle: String,
    pub(crate) indices: [usize; 2],
}

/// A text as the platform keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) urls: Vec<UrlEntity>,
    pub(crate) hashtags: Vec<TagEntity>,
    pub(crate) symbols: Vec<TagEntity>,
    pub(crate) mentions: Vec<Mention>,
}

/// Rewrites links and finds entities; `seed` makes the short links differ between messages.
pub(crate) fn show(raw: &str, seed: u64) -> Shown {
    let mut shown = Shown::default();
    let mut at = 0;
    for piece in split_keeping_spaces(raw) {
        let (word, rest) = trim_word(piece);
        if is_link(word) {
            let short = short_link(word, seed);
            shown.urls.push(UrlEntity {
                indices: [at, at + short.chars().count()],
                expanded_url: word.to_owned(),
                display_url: display(word),
                url: short.clone(),
            });
            at += short.chars().count() + rest.chars().count();
            shown.text.push_str(&short);
            shown.text.push_str(rest);
        } else {
            note_tag(&mut shown, word, at);
            at += piece.chars().count();
            shown.text.push_str(piece);
        }
    }
    shown
}

/// The short link that stands for a photo at the end of a text.
pub(crate) fn media_link(shown: &mut Shown, page: &str, seed: u64) -> UrlEntity {
    shown.text.push(' ');
    let start = shown.text.chars().count();
    let url = short_link(page, seed);
    let slug = url.rsplit('/').next().unwrap_or_default();
    shown.text.push_str(&url);
    let entity = UrlEntity {
        display_url: format!("pic.twitter.com/{slug}"),
        expanded_url: page.to_owned(),
        indices: [start, start + url.chars().count()],
        url,
    };
    shown.urls.push(entity.clone());
    entity
}

/// Words and the white space between them, in order.
fn split_keeping_spaces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut in_space = None;
    for (index, char) in text.char_indices() {
        if in_space.is_some_and(|space| space != char.is_whitespace()) {
            pieces.push(&text[start..index]);
            start = index;
        }
        in_space = Some(char.is_whitespace());
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

/// A word without the punctuation behind it, and that punctuation.
fn trim_word(piece: &str) -> (&str, &str) {
    let end = piece
        .trim_end_matches(['.', ',', '!', '?', ';', ':', ')', '"', '\''])
        .len();
    piece.split_at(end)
}

fn is_link(word: &str) -> bool {
    let rest = word
        .strip_prefix("https://")
        .or_else(|| word.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.contains('.') && !rest.starts_with('.'))
}

/// 23 characters, the length that the platform gives every link.
pub(crate) fn short_link(target: &str, seed: u64) -> String {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(target)
        .finalize();
    let slug = digest
        .iter()
        .take(10)
        .map(|byte| char::from(LETTERS[usize::from(*byte) % 62]));
    format!("https://t.co/{}", slug.collect::<String>())
}

/// The link without its scheme, cut as the platform cuts it.
fn display(link: &str) -> String {
    let bare = link.split_once("://").map_or(link, |(_, rest)| rest);
    let bare = bare.strip_prefix("www.").unwrap_or(bare);
    if bare.chars().count() <= 30 {
        return bare.to_owned();
    }
    bare.chars().take(29).chain(['…']).collect()
}

fn note_tag(shown: &mut Shown, word: &str, at: usize) {
    let Some(sign) = word.chars().next() else {
        return;
    };
    let name: String = word
        .chars()
        .skip(1)
        .take_while(|char| char.is_alphanumeric() || *char == '_')
        .collect();
    if name.is_empty() {
        return;
    }
    let indices = [at, at + 1 + name.chars().count()];
    match sign {
        '#' if name.chars().any(char::is_alphabetic) => {
            shown.hashtags.push(TagEntity {
                text: name,
                indices,
            });
        }
        '$' if name.len() <= 6 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            shown.symbols.push(TagEntity {
                text: name,
                indices,
            });
        }
        '@' if name.is_ascii() && name.len() <= 15 => {
            shown.mentions.push(Mention {
                handle: name,
                indices,
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(shown: &Shown, indices: [usize; 2]) -> String {
        shown
            .text
            .chars()
            .skip(indices[0])
            .take(indices[1] - indices[0])
            .collect()
    }

    #[test]
    fn links_become_short_and_indices_count_code_points() {
        let shown = show("👩‍👩‍👧 see https://example.com/a?b=1, thanks", 1);
        let url = &shown.urls[0];
        assert_eq!(url.url.len(), 23);
        assert_eq!(slice(&shown, url.indices), url.url);
        assert_eq!(url.expanded_url, "https://example.com/a?b=1");
        assert!(shown.text.ends_with(", thanks"));
    }

    #[test]
    fn text_without_links_is_untouched() {
        for text in [
            "",
            "  a  b\n\tc ",
            "http://",
            "https://.",
            "no.link here!",
            "é\u{2028}x",
        ] {
            assert_eq!(show(text, 1).text, text);
        }
    }

    #[test]
    fn tags_and_mentions_are_found() {
        let shown = show("@acme my #order42 and $TSLA! #1 @ x", 1);
        assert_eq!(shown.mentions[0].handle, "acme");
        assert_eq!(slice(&shown, shown.hashtags[0].indices), "#order42");
        assert_eq!(slice(&shown, shown.symbols[0].indices), "$TSLA");
        assert_eq!(shown.hashtags.len(), 1);
    }

    #[test]
    fn long_links_are_cut_for_display() {
        assert_eq!(display("https://www.example.com/"), "example.com/");
        assert_eq!(
            display("https://example.com/a-very-long-path-indeed")
                .chars()
                .count(),
            30
        );
    }
}
