//! The form in which texts are compared when people look for something.

use unicode_normalization::UnicodeNormalization as _;

/// Longest key, in characters.
const MAX_KEY: usize = 200;

/// What two texts have in common that differ only in case, accents, width or spaces: `Jérôme` and
/// `JEROME`, `ŁUKASZ` and `lukasz`. Marks that carry meaning, as in Thai, Hindi or Japanese, stay.
#[must_use]
pub fn search_key(text: &str) -> String {
    let plain: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|c| !is_accent(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut key = String::with_capacity(plain.len());
    for word in plain.split_whitespace() {
        if !key.is_empty() {
            key.push(' ');
        }
        for c in word.chars() {
            match undecomposed(c) {
                Some(letters) => key.push_str(letters),
                None => key.push(c),
            }
        }
    }
    let key: String = key.nfc().take(MAX_KEY).collect();
    key.trim_end().to_owned()
}

/// Marks that a person who types a name may leave out: those of Latin, Greek and Cyrillic, Hebrew
/// points and Arabic vowels.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'
        | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{640}' | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters that Unicode doesn't take apart, but people do.
fn undecomposed(c: char) -> Option<&'static str> {
    Some(match c {
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_without_case_accents_and_width() {
        for (one, other) in [
            ("Jérôme", "jerome"),
            ("ŁUKASZ", "Lukasz"),
            ("Straße", "STRASSE"),
            ("İstanbul", "istanbul"),
            ("Ｍａｒｉｅ", "marie"),
            ("مُحَمَّد", "محمد"),
            ("  Ana\t Lima ", "ana lima"),
            ("Søren", "soren"),
        ] {
            assert_eq!(search_key(one), search_key(other), "{one}");
        }
    }

    #[test]
    fn marks_that_make_another_word_stay() {
        assert_ne!(search_key("が"), search_key("か"));
        assert_ne!(search_key("की"), search_key("क"));
        assert_ne!(search_key("👍"), search_key("👎"));
    }

    #[test]
    fn a_key_is_its_own_key_and_never_long() {
        for text in ["Jérôme ŁUKASZ", "ﷺ", &"é".repeat(1_000), "a\u{0}b", "Ǆ"] {
            let key = search_key(text);
            assert!(key.chars().count() <= MAX_KEY);
            assert_eq!(search_key(&key), key, "{text}");
        }
    }
}
