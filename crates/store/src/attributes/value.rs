//! Values of custom attributes: JSON outside, one text form inside, by which filters compare.

use std::str::FromStr;

use jiff::civil::Date;
use roost_domain::role::UnknownName;
use serde_json::{Number, Value, json};

use super::Definition;

/// Longest value, in characters.
const MAX_VALUE: usize = 2_000;
/// Longest text form of a number: what is beyond it is no figure that people write.
const MAX_NUMBER: usize = 32;

macro_rules! names {
    ($(#[doc = $doc:literal])+ $of:ident { $($(#[doc = $word:literal])+ $name:ident = $text:literal;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $of {
            $($(#[doc = $word])+ $name,)+
        }

        impl $of {
            /// The name on the wire and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }

        impl FromStr for $of {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($text => Ok(Self::$name),)+
                    other => Err(UnknownName(other.to_owned())),
                }
            }
        }
    };
}

names! {
    /// Whose attribute.
    Subject {
        /// A conversation's.
        Conversation = "conversation";
        /// A contact's.
        Contact = "contact";
    }
}

names! {
    /// What the values of an attribute are.
    Kind {
        /// Any text.
        Text = "text";
        /// A number.
        Number = "number";
        /// True or false.
        Boolean = "boolean";
        /// A day of the calendar, without a zone.
        Date = "date";
        /// One of a list.
        Choice = "choice";
    }
}

/// The text form of a value that fits the definition.
///
/// # Errors
/// What the value should be.
pub fn validate(definition: &Definition, value: &Value) -> Result<String, String> {
    match (definition.kind, value) {
        (Kind::Text, Value::String(text)) => plain_text(text),
        (Kind::Number, Value::Number(number)) => plain_number(number),
        (Kind::Boolean, Value::Bool(flag)) => Ok(flag.to_string()),
        (Kind::Date, Value::String(text)) => plain_date(text),
        (Kind::Choice, Value::String(text)) => chosen(definition, text),
        (Kind::Text, _) => Err("must be a text".to_owned()),
        (Kind::Number, _) => Err("must be a number".to_owned()),
        (Kind::Boolean, _) => Err("must be true or false".to_owned()),
        (Kind::Date, _) => Err(DATE.to_owned()),
        (Kind::Choice, _) => Err("must be one of the choices".to_owned()),
    }
}

/// The text form of what a query parameter says.
///
/// # Errors
/// What the value should be.
pub fn from_query(definition: &Definition, text: &str) -> Result<String, String> {
    let value = match definition.kind {
        Kind::Text | Kind::Date | Kind::Choice => json!(text),
        Kind::Number => text
            .parse()
            .map(Value::Number)
            .map_err(|_| "must be a number".to_owned())?,
        Kind::Boolean => text
            .parse()
            .map(Value::Bool)
            .map_err(|_| "must be true or false".to_owned())?,
    };
    validate(definition, &value)
}

/// A stored value as JSON.
#[must_use]
pub fn shown(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Text | Kind::Date | Kind::Choice => json!(text),
        Kind::Number => text.parse().map(Value::Number).unwrap_or_default(),
        Kind::Boolean => json!(text == "true"),
    }
}

const DATE: &str = "must be a date, such as 2026-01-31";

fn plain_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.is_empty() || text.chars().count() > MAX_VALUE {
        Err(format!("must have 1 to {MAX_VALUE} characters"))
    } else if text.chars().any(is_control) {
        Err("must not contain control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn plain_number(number: &Number) -> Result<String, String> {
    let text = if let Some(whole) = number.as_i64() {
        whole.to_string()
    } else if let Some(whole) = number.as_u64() {
        whole.to_string()
    } else {
        let float = number.as_f64().filter(|float| float.is_finite());
        // Display of a float gives no exponent and no needless zeros, but a sign to zero.
        float
            .map(|float| if float == 0.0 { 0.0 } else { float })
            .ok_or("must be a number")?
            .to_string()
    };
    if text.len() > MAX_NUMBER {
        return Err(format!("must have at most {MAX_NUMBER} digits"));
    }
    Ok(text)
}

fn plain_date(text: &str) -> Result<String, String> {
    let date: Option<Date> = text.parse().ok().filter(|_| text.len() == 10);
    date.map(|date| date.to_string())
        .ok_or_else(|| DATE.to_owned())
}

fn chosen(definition: &Definition, text: &str) -> Result<String, String> {
    let is_known = definition.choices.iter().any(|choice| choice == text);
    is_known
        .then(|| text.to_owned())
        .ok_or_else(|| format!("must be one of: {}", definition.choices.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use roost_domain::ids::AttributeId;
    use uuid::Uuid;

    fn of(kind: Kind) -> Definition {
        Definition {
            id: AttributeId(Uuid::nil()),
            subject: Subject::Contact,
            key: "x".to_owned(),
            name: "X".to_owned(),
            kind,
            choices: vec!["gold".to_owned(), "silver".to_owned()],
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn equal_values_have_one_text_form_and_come_back_as_they_are() {
        for (kind, value, text) in [
            (Kind::Text, json!("  a b "), "a b"),
            (Kind::Number, json!(12), "12"),
            (Kind::Number, json!(12.0), "12"),
            (Kind::Number, json!(1.50), "1.5"),
            (Kind::Number, json!(-0.0), "0"),
            (Kind::Boolean, json!(true), "true"),
            (Kind::Date, json!("2026-01-31"), "2026-01-31"),
            (Kind::Choice, json!("gold"), "gold"),
        ] {
            assert_eq!(validate(&of(kind), &value).as_deref(), Ok(text));
            let back = shown(kind, text);
            assert_eq!(validate(&of(kind), &back).as_deref(), Ok(text), "{value}");
            assert_eq!(from_query(&of(kind), text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, value) in [
            (Kind::Text, json!(" ")),
            (Kind::Text, json!("x".repeat(2_001))),
            (Kind::Text, json!("a\u{7}")),
            (Kind::Text, json!(1)),
            (Kind::Number, json!("1")),
            (Kind::Number, json!(1e300)),
            (Kind::Number, json!(1e-300)),
            (Kind::Boolean, json!("true")),
            (Kind::Date, json!("2026-02-30")),
            (Kind::Date, json!("20260131")),
            (Kind::Date, json!("2026-01-31T00:00:00Z")),
            (Kind::Choice, json!("Gold")),
            (Kind::Choice, json!(null)),
        ] {
            assert!(validate(&of(kind), &value).is_err(), "{kind:?} {value}");
        }
    }
}
