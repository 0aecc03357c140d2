//! Filters of conversations: one reading for lists, counts and saved filters.

use std::borrow::Cow;

use jiff::civil::Date;
use roost_domain::terms::Wanted;
use roost_store::conversations::{
    self, AttributeFilter, ConversationFilter, FilterableAttribute, SlaState, Sort, SortField,
};
use roost_store::{BrandTx, StoreError, search};

use crate::input::{Checks, Query};
use crate::problem::Problem;

/// Longest search text, in characters.
const MAX_SEARCH: usize = 200;
/// Attributes that one filter may name.
const MAX_ATTRIBUTES: usize = 10;

/// A filter as it was asked for. What needs the database is looked up by [`FilterInput::resolve`].
#[derive(Debug, Clone)]
pub(super) struct FilterInput {
    filter: ConversationFilter,
    attributes: Vec<AttributeInput>,
    search: Option<Wanted>,
}

/// Values of an attribute, and where they were asked for.
#[derive(Debug, Clone)]
struct AttributeInput {
    key: String,
    values: Vec<String>,
    pointer: String,
}

impl FilterInput {
    /// Takes a filter's parameters.
    pub(super) fn read(query: &Query) -> Self {
        Self {
            filter: ConversationFilter {
                status: query.all("status"),
                priority: query.all("priority"),
                assignee: query.all_or_none("assignee_id"),
                team: query.all_or_none("team_id"),
                channel: query.all("channel_id"),
                contact: query.all("contact_id"),
                label: query.all("label"),
                sla: read_sla(query),
                external_id: read_external_ids(query),
                attributes: Vec::new(),
                has_failed_send: query.flag("has_failed_send"),
                found: None,
                opened_after: query.instant("opened_after"),
                opened_before: query.instant("opened_before"),
                updated_after: query.instant("updated_after"),
                updated_before: query.instant("updated_before"),
                resolved_after: query.instant("resolved_after"),
                resolved_before: query.instant("resolved_before"),
            },
            attributes: read_attributes(query),
            search: None,
        }
    }

    /// The same, and `q`.
    pub(super) fn read_with_search(query: &Query) -> Self {
        Self {
            search: read_search(query),
            ..Self::read(query)
        }
    }

    /// Whether it could be resolved, without looking for anything.
    pub(super) async fn check(self, tx: &mut BrandTx) -> Result<(), Problem> {
        let without_search = Self {
            search: None,
            ..self
        };
        without_search.resolve(tx).await?;
        Ok(())
    }

    /// The filter as the store takes it: attributes by their definitions, a search by what it found.
    pub(super) async fn resolve(self, tx: &mut BrandTx) -> Result<ConversationFilter, Problem> {
        let mut checks = Checks::default();
        let attributes = resolve_attributes(tx, &mut checks, self.attributes).await?;
        checks.finish()?;
        let found = match &self.search {
            Some(wanted) => Some(search::conversations(tx, wanted).await?),
            None => None,
        };
        Ok(ConversationFilter {
            attributes,
            found: found.map(|ids| ids.into_iter().collect()),
            ..self.filter
        })
    }
}

fn read_sla(query: &Query) -> Vec<SlaState> {
    let mut states = Vec::new();
    for name in query.texts("sla") {
        match name.as_str() {
            "at_risk" => states.push(SlaState::AtRisk),
            "breached" => states.push(SlaState::Breached),
            _ => query.fault("sla", "must be at_risk or breached"),
        }
    }
    states
}

fn read_external_ids(query: &Query) -> Vec<String> {
    let ids = query.texts("external_id");
    if ids
        .iter()
        .any(|id| !(1..=200).contains(&id.chars().count()))
    {
        query.fault("external_id", "must have 1 to 200 characters");
    }
    ids
}

fn read_search(query: &Query) -> Option<Wanted> {
    let text = query.text("q")?;
    if text.chars().count() > MAX_SEARCH {
        query.fault("q", format!("must have at most {MAX_SEARCH} characters"));
        return None;
    }
    let wanted = Wanted::parse(&text);
    if wanted.is_none() {
        query.fault("q", "must have a letter, a digit or an emoji to look for");
    }
    wanted
}

fn read_attributes(query: &Query) -> Vec<AttributeInput> {
    let attributes: Vec<AttributeInput> = query
        .bracketed("attributes")
        .into_iter()
        .map(|(key, values)| AttributeInput {
            pointer: query.pointer(&format!("attributes[{key}]")),
            key,
            values,
        })
        .collect();
    if attributes.len() > MAX_ATTRIBUTES {
        query.fault("attributes", format!("at most {MAX_ATTRIBUTES} attributes"));
    }
    attributes
}

async fn resolve_attributes(
    tx: &mut BrandTx,
    checks: &mut Checks,
    wanted: Vec<AttributeInput>,
) -> Result<Vec<AttributeFilter>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&str> = wanted
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    let known = conversations::find_attributes(tx, &keys).await?;
    let mut attributes = Vec::new();
    for AttributeInput {
        key,
        values,
        pointer,
    } in wanted
    {
        let Some(attribute) = known.iter().find(|known| known.key == key) else {
            checks.fault(&pointer, "is no attribute of conversations");
            continue;
        };
        let values = values
            .iter()
            .filter_map(|value| match text_form(attribute, value) {
                Ok(value) => Some(value.into_owned()),
                Err(detail) => {
                    checks.fault(&pointer, detail);
                    None
                }
            })
            .collect();
        attributes.push(AttributeFilter {
            definition: attribute.definition(),
            values,
        });
    }
    Ok(attributes)
}

/// A value in the form in which values are kept.
fn text_form<'a>(
    attribute: &FilterableAttribute,
    value: &'a str,
) -> Result<Cow<'a, str>, &'static str> {
    match attribute.r#type.as_str() {
        "number" => number(value).map(Cow::Owned).ok_or("must be a number"),
        "boolean" if !matches!(value, "true" | "false") => Err("must be true or false"),
        "date" if value.parse::<Date>().is_err() || value.len() != 10 => {
            Err("must be a date, such as 2026-01-31")
        }
        "choice" if !attribute.choices.iter().any(|choice| choice == value) => {
            Err("is none of the choices")
        }
        _ => Ok(Cow::Borrowed(value)),
    }
}

/// A decimal number without needless zeros.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let number = match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    };
    let sign = if number == "0" { "" } else { sign };
    Some(format!("{sign}{number}"))
}

/// The order of a list of conversations.
pub(super) fn read_sort(query: &Query) -> Sort {
    let default = Sort {
        field: SortField::LastMessageAt,
        descending: true,
    };
    let Some(text) = query.text("sort") else {
        return default;
    };
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text.as_str()),
    };
    if let Some(field) = SortField::parse(name) {
        return Sort { field, descending };
    }
    query.fault(
        "sort",
        "must be last_message_at, waiting_since, opened_at, updated_at or next_due_at",
    );
    default
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (text, form) in [
            ("5", "5"),
            ("05.50", "5.5"),
            ("-0.0", "0"),
            ("1000", "1000"),
            ("-3.0", "-3"),
        ] {
            assert_eq!(number(text).as_deref(), Some(form), "{text}");
        }
        for bad in ["", "-", "1e3", "1.", ".5", "+1", "1,5", "٣"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
