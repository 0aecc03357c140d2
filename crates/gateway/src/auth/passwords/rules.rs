//! Which passwords are taken.

use crate::input::Checks;

/// Shortest and longest, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;
/// Fewer different characters than these are a pattern.
const MIN_DIFFERENT: usize = 5;

/// Passwords of 12 and more characters that everybody tries first, in lower case, sorted: all such of
/// `@zxcvbn-ts/language-common` 4.1.3 (MIT) and of Django 5.2's `common-passwords.txt` (BSD-3-Clause),
/// which together hold some 69,000. Shorter ones are refused by their length.
const COMMON: &str = include_str!("common.txt");

/// Notes why a password can't be a new one; `about` is what everybody knows of the person.
pub(crate) fn check_new(checks: &mut Checks, pointer: &str, password: &str, about: &[&str]) {
    let length = password.chars().count();
    if !LENGTH.contains(&length) {
        checks.fault(pointer, "must have 12 to 128 characters");
    } else if is_guessable(password, about) {
        checks.fault(pointer, "is too easy to guess");
    }
}

fn is_guessable(password: &str, about: &[&str]) -> bool {
    let lower = password.trim().to_lowercase();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    let is_personal = about.iter().map(|known| known.to_lowercase()).any(|known| {
        let squeezed = known.replace(' ', "");
        lower == known || lower == squeezed || known.split('@').next() == Some(lower.as_str())
    });
    different.len() < MIN_DIFFERENT || is_personal || COMMON.lines().any(|common| common == lower)
}

#[cfg(test)]
mod tests {
    use super::is_guessable;

    #[test]
    fn what_everybody_tries_first_is_refused() {
        let about = ["olivia.harbor@mail.example", "Olivia Von Harbor"];
        for bad in [
            "passwordpassword",
            "PasswordPassword",
            "qwertyuiop12",
            "abcabcabcabcabc",
            "            ",
            "olivia.harbor@mail.example",
            "olivia.harbor",
            "OliviaVonHarbor",
            "olivia von harbor",
        ] {
            assert!(is_guessable(bad, &about), "{bad}");
        }
        for good in ["correct horse battery", "Tr0ub4dor&3-and-more"] {
            assert!(!is_guessable(good, &about), "{good}");
        }
    }
}
