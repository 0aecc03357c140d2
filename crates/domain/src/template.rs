//! Texts with variables, such as `Hello {{contact.name|there}}`.

use std::fmt;
use std::str::FromStr;

use crate::role::UnknownName;

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// What a text can be filled with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Variable {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Variable {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in a text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

variables! {
    /// What the customer is called.
    ContactName = "contact.name";
    /// The customer's handle, without `@`.
    ContactHandle = "contact.handle";
    /// What the member who writes is called.
    AgentName = "agent.name";
    /// What the brand is called.
    BrandName = "brand.name";
    /// The conversation's id.
    ConversationId = "conversation.id";
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Variable {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|one| one.as_str() == text);
        found.copied().ok_or_else(|| UnknownName(text.to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value {
        of: Variable,
        default: Option<String>,
    },
}

/// A text whose variables are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// What is wrong with a text, and where: characters from its start, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no such variable.
    #[error("unknown variable `{name}` at character {at}")]
    Unknown {
        /// What stands there.
        name: String,
        /// Where its braces open.
        at: usize,
    },
    /// Braces that open and never close.
    #[error("`{{{{` at character {at} is not closed by `}}}}`")]
    Open {
        /// Where.
        at: usize,
    },
}

/// A filled text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Ready to be sent.
    pub text: String,
    /// The variables that had no value, each once.
    pub missing: Vec<Variable>,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// At its first unknown variable or open brace.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut at = 1;
        while let Some((before, inside)) = rest.split_once("{{") {
            at += before.chars().count();
            let (inside, after) = inside.split_once("}}").ok_or(TemplateError::Open { at })?;
            let (name, default) = match inside.split_once('|') {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inside, None),
            };
            let of = name.trim().parse().map_err(|_| TemplateError::Unknown {
                name: name.trim().chars().take(50).collect(),
                at,
            })?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Value { of, default });
            at += inside.chars().count() + 4;
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Fills it. Values are plain text: braces in a customer's name stay braces, and what isn't
    /// printable becomes a space. What has no value takes its default, else nothing.
    #[must_use]
    pub fn render(&self, value: impl Fn(Variable) -> Option<String>) -> Rendered {
        let mut text = String::new();
        let mut missing = Vec::new();
        for part in &self.0 {
            let (of, default) = match part {
                Part::Text(part) => {
                    text.push_str(part);
                    continue;
                }
                Part::Value { of, default } => (*of, default),
            };
            match value(of).filter(|value| !value.trim().is_empty()) {
                Some(value) => {
                    let plain = |c: char| if c.is_control() { ' ' } else { c };
                    text.extend(value.trim().chars().map(plain));
                }
                None => {
                    text.push_str(default.as_deref().unwrap_or_default());
                    if !missing.contains(&of) {
                        missing.push(of);
                    }
                }
            }
        }
        Rendered { text, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(text: &str, name: Option<&str>) -> Rendered {
        let template = Template::parse(text).unwrap();
        template.render(|of| match of {
            Variable::ContactName => name.map(ToOwned::to_owned),
            Variable::AgentName => Some("Ben".to_owned()),
            Variable::ContactHandle | Variable::BrandName | Variable::ConversationId => None,
        })
    }

    #[test]
    fn values_stand_where_their_names_stood() {
        let filled = fill("Hi {{contact.name}}, I am {{ agent.name }}.", Some("Ana"));
        assert_eq!(filled.text, "Hi Ana, I am Ben.");
        assert!(filled.missing.is_empty());
    }

    #[test]
    fn what_is_missing_takes_its_default_and_is_named_once() {
        let filled = fill("Hi {{contact.name|there}}{{contact.name}}!", None);
        assert_eq!(filled.text, "Hi there!");
        assert_eq!(filled.missing, [Variable::ContactName]);
    }

    #[test]
    fn a_customer_named_like_a_variable_stays_a_name() {
        let filled = fill("Hi {{contact.name}}", Some("{{agent.name}}\n\u{7}x"));
        assert_eq!(filled.text, "Hi {{agent.name}}  x");
    }

    #[test]
    fn faults_say_where_they_are() {
        let error = |text| Template::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("Grüß {{contact.mail}}"),
            "unknown variable `contact.mail` at character 6"
        );
        assert_eq!(
            error("{{agent.name}} {{x"),
            "`{{` at character 16 is not closed by `}}`"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_one_without_braces_is_kept(text in ".{0,60}") {
            match Template::parse(&text) {
                Ok(template) if !text.contains("{{") => {
                    prop_assert_eq!(template.render(|_| None).text, text);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}
