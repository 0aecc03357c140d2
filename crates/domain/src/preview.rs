//! The first words of a message, for lists.

use unicode_segmentation::UnicodeSegmentation;

/// How many characters, as a reader counts them, a preview shows at most.
pub const PREVIEW_GRAPHEMES: usize = 140;

/// The beginning of a text on one line, never cut inside a character that a reader sees as one.
#[must_use]
pub fn preview(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.grapheme_indices(true).nth(PREVIEW_GRAPHEMES) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::preview;

    #[test]
    fn a_joined_emoji_at_the_limit_is_kept_whole_or_left_out() {
        let family = "👩‍👩‍👧";
        let text = format!("{}{family}{family}", "a".repeat(139));
        assert_eq!(preview(&text), format!("{}{family}…", "a".repeat(139)));
    }

    #[test]
    fn lines_become_one() {
        assert_eq!(preview("one\n\ttwo  three "), "one two three");
    }
}
