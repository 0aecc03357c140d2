//! Terms: what a text is found by, in any script.
//!
//! A text is folded (compatibility forms, accents and case away) and cut into terms: words where a script
//! has spaces, pairs of neighbouring signs where it has none (Chinese, Japanese, Thai …), and each emoji by
//! itself. Texts and queries go the same way, so what this loses is lost on both sides.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

/// Longest term, in characters; what is beyond is cut off on both sides.
const MAX_TERM: usize = 48;
/// Most terms that a text is found by.
const MAX_TERMS: usize = 4_000;
/// Most terms of a query; further ones narrow nothing.
const MAX_WANTED: usize = 24;
/// A query's last word also finds longer ones from this many characters on.
const MIN_BEGINNING: usize = 3;

/// Letters that decompose into nothing but that people type as others. Everything else with a mark, such
/// as `é` or `ș`, decomposes by itself.
const FOLDED: &[(char, &str)] = &[
    ('ł', "l"),
    ('ø', "o"),
    ('đ', "d"),
    ('ð', "d"),
    ('ħ', "h"),
    ('ŧ', "t"),
    ('ŋ', "n"),
    ('ı', "i"),
    ('ĸ', "k"),
    ('æ', "ae"),
    ('œ', "oe"),
    ('ß', "ss"),
    ('þ', "th"),
    ('ς', "σ"),
    // Arabic: the tatweel only stretches; alef maqsura and teh marbuta are typed as yeh and heh, and
    // Persian keyboards have a yeh and a kaf of their own.
    ('\u{640}', ""),
    ('ى', "ي"),
    ('ی', "ي"),
    ('ة', "ه"),
    ('ک', "ك"),
];

/// A text without accents, case and compatibility forms: `ŁUKASZ` is `lukasz`, `Jérôme` is `jerome`.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // Together again what still belongs together: voiced kana, syllables of Hangul.
    let bare = text.nfkd().filter(|sign| !is_mark(*sign)).nfc();
    for sign in bare.flat_map(char::to_lowercase) {
        match FOLDED.iter().find(|(from, _)| *from == sign) {
            Some((_, to)) => folded.push_str(to),
            None => folded.push(sign),
        }
    }
    folded
}

/// Accents, harakat and the like. Marks that make another letter (virama, nukta, the kana's voicing; their
/// classes are 7 to 9) stay, as do vowel signs, whose class is 0.
fn is_mark(sign: char) -> bool {
    !matches!(canonical_combining_class(sign), 0 | 7..=9)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of a script with spaces.
    Word,
    /// Of a script without.
    Dense,
    /// An emoji or another picture: a term by itself.
    Picture,
    Gap,
}

fn kind(sign: char) -> Kind {
    match sign {
        // Thai, Lao, Burmese, Khmer; kana; Han, its extensions.
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Dense,
        // Skin tones change no meaning.
        '\u{1f3fb}'..='\u{1f3ff}' => Kind::Gap,
        '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' => Kind::Picture,
        // Viramas join what stands around them.
        _ if sign.is_alphanumeric() || canonical_combining_class(sign) != 0 => Kind::Word,
        _ => Kind::Gap,
    }
}

/// The runs of one kind in a folded text, gaps left out; a picture is a run of one.
fn runs(folded: &str) -> Vec<(Kind, &str)> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut of = Kind::Gap;
    for (at, sign) in folded.char_indices() {
        let next = kind(sign);
        if next != of || next == Kind::Picture {
            if of != Kind::Gap && at > start {
                runs.push((of, &folded[start..at]));
            }
            (start, of) = (at, next);
        }
    }
    if of != Kind::Gap {
        runs.push((of, &folded[start..]));
    }
    runs
}

fn cut(term: &str) -> String {
    term.chars().take(MAX_TERM).collect()
}

/// Pairs of neighbours.
fn pairs(run: &str) -> impl Iterator<Item = String> + '_ {
    let seconds = run.chars().skip(1);
    run.chars()
        .zip(seconds)
        .map(|(first, second)| [first, second].iter().collect())
}

/// What a text is found by.
#[must_use]
pub fn of_text(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let mut terms = BTreeSet::new();
    for (kind, run) in runs(&folded) {
        if terms.len() >= MAX_TERMS {
            break;
        }
        match kind {
            Kind::Dense => {
                // The last sign has no second, but is found by itself too.
                terms.extend(run.chars().last().map(String::from));
                terms.extend(pairs(run).take(MAX_TERMS));
            }
            Kind::Word | Kind::Picture => {
                terms.insert(cut(run));
            }
            Kind::Gap => {}
        }
    }
    terms
}

/// What a customer is found by: the words of the name, and of the handle's every ending.
#[must_use]
pub fn of_contact(name: &str, handle: Option<&str>) -> BTreeSet<String> {
    let mut terms = of_text(name);
    if let Some(handle) = handle {
        terms.extend(of_text(handle));
        let folded = fold(handle);
        for (kind, run) in runs(&folded) {
            if kind == Kind::Word {
                let word = cut(run);
                terms.extend(word.char_indices().map(|(at, _)| word[at..].to_owned()));
            }
        }
    }
    terms
}

/// One term of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The folded text.
    pub text: String,
    /// Whether longer terms that begin with it are meant too, among the words of messages.
    pub begins: bool,
    /// Whether they are among those of customers.
    pub begins_name: bool,
}

/// What somebody looks for: all of these terms at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(Vec<Term>);

impl Wanted {
    /// Reads a query; none if there is nothing in it to look for.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        let folded = fold(query);
        let runs = runs(&folded);
        let mut terms = Vec::new();
        for (index, (kind, run)) in runs.iter().enumerate() {
            match kind {
                Kind::Dense if run.chars().nth(1).is_some() => {
                    terms.extend(pairs(run).map(|text| Term::exactly(text, false)));
                }
                // The first of a pair, or the last of its run.
                Kind::Dense => terms.push(Term {
                    begins: true,
                    ..Term::exactly((*run).to_owned(), true)
                }),
                Kind::Word => {
                    let text = cut(run);
                    let is_last = index + 1 == runs.len();
                    let begins = is_last && text.chars().count() >= MIN_BEGINNING;
                    terms.push(Term {
                        begins,
                        ..Term::exactly(text, true)
                    });
                }
                Kind::Picture => terms.push(Term::exactly((*run).to_owned(), false)),
                Kind::Gap => {}
            }
        }
        terms.truncate(MAX_WANTED);
        (!terms.is_empty()).then_some(Self(terms))
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.0
    }
}

impl Term {
    fn exactly(text: String, begins_name: bool) -> Self {
        Self {
            text,
            begins: false,
            begins_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a text of these terms is found, as the database decides it.
    fn finds(query: &str, terms: &BTreeSet<String>, is_contact: bool) -> bool {
        Wanted::parse(query).is_some_and(|wanted| {
            wanted.terms().iter().all(|term| {
                let begins = if is_contact {
                    term.begins_name
                } else {
                    term.begins
                };
                terms.contains(&term.text)
                    || begins && terms.iter().any(|known| known.starts_with(&term.text))
            })
        })
    }

    #[test]
    fn names_are_found_without_their_accents_and_with_them() {
        for (query, name) in [
            ("jerome", "Jérôme"),
            ("Jérôme", "jerome"),
            ("lukasz", "ŁUKASZ"),
            ("łukasz", "Lukasz"),
            ("strasse", "Straße"),
            ("soren", "Søren Ægir"),
            ("ægir", "Soren Aegir"),
            ("istanbul", "İSTANBUL"),
            ("nguyen", "Nguyễn Văn"),
            ("محمد", "مُحَمَّد"),
            ("احمد", "أحمد"),
            ("فاطمه", "فاطمة"),
            ("علی", "علي"),
            ("οδυσσευς", "ΟΔΥΣΣΕΥΣ"),
            ("fullwidth", "Ｆｕｌｌｗｉｄｔｈ"),
            ("हिन्दी", "हिन्दी में"),
            ("한국", "한국어"),
        ] {
            assert!(
                finds(query, &of_contact(name, None), true),
                "{query} in {name}"
            );
        }
        assert!(!finds("हिन्दा", &of_text("हिन्दी"), false), "another vowel");
        assert!(!finds("か", &of_text("が"), false), "another sound");
    }

    #[test]
    fn a_part_of_a_handle_finds_it() {
        let terms = of_contact("Somebody", Some("Jo_Baker99"));
        for query in [
            "baker",
            "aker",
            "ker9",
            "@jo_baker",
            "o_b",
            "jo baker",
            "some ker",
        ] {
            assert!(finds(query, &terms, true), "{query}");
        }
        for query in ["bakers", "jx", "body"] {
            assert!(!finds(query, &terms, true), "{query}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_found_by_any_part() {
        let terms = of_text("東京都の天気はどうですか。返金をお願いします");
        for query in ["東京", "京都の天気", "気", "か", "返金", "返金 東京"] {
            assert!(finds(query, &terms, false), "{query}");
        }
        for query in ["京東", "北京"] {
            assert!(!finds(query, &terms, false), "{query}");
        }
        assert!(finds("สวัสดี", &of_text("สวัสดีครับ"), false));
    }

    #[test]
    fn emoji_are_found_whatever_their_skin_and_variation() {
        let terms = of_text("thanks 👍🏽❤️ bye");
        assert!(finds("👍", &terms, false) && finds("❤", &terms, false));
        assert!(finds("👍🏿", &terms, false) && finds("thanks ❤️", &terms, false));
        assert!(!finds("👎", &terms, false));
    }

    #[test]
    fn of_messages_only_the_last_word_may_be_a_beginning() {
        let terms = of_text("Where is my refund?");
        assert!(finds("refund where", &terms, false) && finds("my ref", &terms, false));
        assert!(!finds("ref my", &terms, false) && !finds("re", &terms, false));
    }

    #[test]
    fn a_query_of_nothing_is_none() {
        for query in ["", "  ", "?!…", "\u{200d}", "_-_"] {
            assert_eq!(Wanted::parse(query), None, "{query:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_finds_itself(text in "\\PC{0,80}") {
            if Wanted::parse(&text).is_some() {
                prop_assert!(finds(&text, &of_text(&text), false), "{:?}", of_text(&text));
            }
        }

        #[test]
        fn terms_hold_nothing_that_parts_them(text in "\\PC{0,80}") {
            for term in of_text(&text) {
                prop_assert!(!term.is_empty() && !term.contains(char::is_whitespace), "{term:?}");
                prop_assert!(!term.contains(['\'', '\\', '\0']), "{term:?}");
            }
        }
    }
}
