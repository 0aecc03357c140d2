//! Query parameters: repeated values of one are OR, unknown ones are refused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Checks;
use crate::problem::{Code, Problem};

/// The parameters of a request, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Query {
    left: RefCell<BTreeMap<String, Vec<String>>>,
    checks: RefCell<Checks>,
    place: Place,
}

/// Where the parameters stand, for the pointers of faults.
#[derive(Debug)]
enum Place {
    /// In the address.
    Address,
    /// In the address, as those of one group: `groups[mine][status]` is its `status`.
    Group(String),
    /// In a member of the body.
    Body(&'static str),
}

/// Most values that one request may give.
const MAX_VALUES: usize = 200;

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text)
            .map_err(|error| Problem::with(Code::InvalidRequest, error.to_string()))?
            .into_inner();
        if pairs.len() > MAX_VALUES {
            let detail = format!("at most {MAX_VALUES} parameters");
            return Err(Problem::at(Code::InvalidRequest, "/query", detail));
        }
        let query = Self::at(Place::Address);
        for (name, value) in pairs {
            query.add(&name, value);
        }
        Ok(query)
    }

    fn at(place: Place) -> Self {
        Self {
            left: RefCell::default(),
            checks: RefCell::default(),
            place,
        }
    }

    fn add(&self, name: &str, value: String) {
        if value.contains('\0') {
            self.fault(name, "must not contain U+0000");
        }
        let mut left = self.left.borrow_mut();
        left.entry(name.to_owned()).or_default().push(value);
    }

    /// The parameters that a member of the body holds as an object: a name to a value or several, and
    /// `attributes` to an object of the same form.
    pub(crate) fn of_object(member: &'static str, object: &Map<String, Value>) -> Self {
        let query = Self::at(Place::Body(member));
        for (name, value) in object {
            match value.as_object().filter(|_| name == "attributes") {
                Some(inner) => {
                    for (key, value) in inner {
                        query.add_value(&format!("{name}[{key}]"), value);
                    }
                }
                None => query.add_value(name, value),
            }
        }
        if query.left.borrow().values().map(Vec::len).sum::<usize>() > MAX_VALUES {
            query.checks.borrow_mut().fault(
                &format!("/{member}"),
                format!("at most {MAX_VALUES} values"),
            );
        }
        query
    }

    fn add_value(&self, name: &str, value: &Value) {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let values: Option<Vec<String>> = match value.as_array() {
            Some(values) if values.is_empty() => None,
            Some(values) => values.iter().map(text).collect(),
            None => text(value).map(|text| vec![text]),
        };
        match values {
            Some(values) => {
                for value in values {
                    self.add(name, value);
                }
            }
            None => self.fault(name, "must be a value or a list of values"),
        }
    }

    /// The parameters whose names have this form: `name[key]`. Each key with its values.
    pub(crate) fn bracketed(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        for full in self.names_of(name) {
            match parts(&full, name).as_deref() {
                Some([key]) => found.push(((*key).to_owned(), self.texts(&full))),
                Some(_) | None => {
                    self.texts(&full);
                    self.fault(&full, format!("must be of the form {name}[key]"));
                }
            }
        }
        found
    }

    /// The parameters of the form `name[group][parameter]`, as those of each group by itself. Give each
    /// back by [`Query::absorb`].
    pub(crate) fn groups(&self, name: &str) -> BTreeMap<String, Self> {
        let mut groups = BTreeMap::new();
        for full in self.names_of(name) {
            let values = self.texts(&full);
            let parts = parts(&full, name);
            let Some([group, parameter, rest @ ..]) = parts.as_deref() else {
                self.fault(
                    &full,
                    format!("must be of the form {name}[group][parameter]"),
                );
                continue;
            };
            let inner = groups
                .entry((*group).to_owned())
                .or_insert_with(|| Self::at(Place::Group(format!("{name}[{group}]"))));
            let rest: String = rest.iter().map(|part| format!("[{part}]")).collect();
            for value in values {
                inner.add(&format!("{parameter}{rest}"), value);
            }
        }
        groups
    }

    /// Takes the faults of a group, what is left over there included.
    pub(crate) fn absorb(&self, group: &Self) {
        self.note(group.close());
    }

    fn names_of(&self, name: &str) -> Vec<String> {
        let left = self.left.borrow();
        let is_of = |full: &&String| {
            let rest = full.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        left.keys().filter(is_of).cloned().collect()
    }

    /// Where a parameter stands.
    pub(crate) fn pointer(&self, name: &str) -> String {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        match &self.place {
            Place::Address => format!("/query/{escaped}"),
            Place::Group(group) => match escaped.split_once('[') {
                Some((parameter, rest)) => format!("/query/{group}[{parameter}][{rest}"),
                None => format!("/query/{group}[{escaped}]"),
            },
            Place::Body(member) => {
                let path = escaped.replace('[', "/").replace(']', "");
                if member.is_empty() {
                    format!("/{path}")
                } else {
                    format!("/{member}/{path}")
                }
            }
        }
    }

    /// All values of a parameter.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.left.borrow_mut().remove(name).unwrap_or_default()
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let mut values = self.texts(name);
        if values.len() > 1 {
            self.fault(name, "may be given once");
        }
        values.pop()
    }

    /// All values of a parameter, read.
    pub(crate) fn all<T>(&self, name: &str) -> Vec<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let values = self.texts(name);
        let mut checks = self.checks.borrow_mut();
        values
            .iter()
            .filter_map(|value| checks.parse(&self.pointer(name), value))
            .collect()
    }

    /// As [`Query::all`], where `none` is a value.
    pub(crate) fn all_or_none<T>(&self, name: &str) -> Vec<Option<T>>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let values = self.texts(name);
        let mut checks = self.checks.borrow_mut();
        values
            .iter()
            .filter_map(|value| match value.as_str() {
                "none" => Some(None),
                id => checks.parse(&self.pointer(name), id).map(Some),
            })
            .collect()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.fault(name, "must be true or false");
        }
        parsed
    }

    /// An RFC 3339 instant.
    pub(crate) fn instant(&self, name: &str) -> Option<Timestamp> {
        let value = self.text(name)?;
        self.checks
            .borrow_mut()
            .instant(&self.pointer(name), &value)
    }

    /// A whole number within bounds.
    pub(crate) fn number(&self, name: &str, min: i64, max: i64, default: i64) -> i64 {
        let Some(value) = self.text(name) else {
            return default;
        };
        match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => number,
            Ok(_) | Err(_) => {
                self.fault(name, format!("must be a whole number from {min} to {max}"));
                default
            }
        }
    }

    /// How many rows a page may have.
    pub(crate) fn limit(&self) -> i64 {
        self.number("limit", 1, 200, 50)
    }

    /// Notes a fault of a parameter.
    pub(crate) fn fault(&self, name: &str, detail: impl Into<String>) {
        self.checks.borrow_mut().fault(&self.pointer(name), detail);
    }

    /// Takes faults that were found elsewhere.
    pub(crate) fn note(&self, faults: Checks) {
        self.checks.borrow_mut().append(faults);
    }

    /// Refuses if anything was wrong or is left over.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        self.close().finish()
    }

    /// What was wrong or is left over.
    pub(crate) fn close(&self) -> Checks {
        for name in self.left.take().keys() {
            let detail = match self.place {
                Place::Address | Place::Group(_) => "is not a parameter of this address",
                Place::Body(_) => "is not a filter",
            };
            self.fault(name, detail);
        }
        self.checks.take()
    }
}

/// What stands in the brackets of `name[a][b]…`; none if that isn't its form.
fn parts<'a>(full: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let inner = full
        .strip_prefix(name)?
        .strip_prefix('[')?
        .strip_suffix(']')?;
    let parts: Vec<&str> = inner.split("][").collect();
    let is_plain = |part: &&str| !part.is_empty() && part.len() <= 63 && !part.contains(['[', ']']);
    parts.iter().all(is_plain).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(query: &Query) -> Vec<String> {
        let problem = query.finish().unwrap_err();
        let faults = problem.faults_for_test().iter();
        faults.map(|fault| fault.pointer.clone()).collect()
    }

    #[test]
    fn brackets_hold_one_key() {
        let query =
            Query::parse("attributes[tier]=gold&attributes[tier]=silver&attributes[a][b]=x")
                .unwrap();
        let values = ["gold".to_owned(), "silver".to_owned()];
        assert_eq!(
            query.bracketed("attributes"),
            [("tier".to_owned(), values.to_vec())]
        );
        assert_eq!(pointers(&query), ["/query/attributes[a][b]"]);
        for bad in [
            "attributes=x",
            "attributes[]=x",
            "attributes[a=x",
            "attributes[a]]=x",
            "attributes[[a]]=x",
        ] {
            let query = Query::parse(bad).unwrap();
            assert!(query.bracketed("attributes").is_empty(), "{bad}");
            assert_eq!(pointers(&query).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_group_has_its_own_parameters_and_pointers() {
        let query =
            Query::parse("groups[mine][status]=open&groups[mine][attributes][tier]=x&groups[x]=1")
                .unwrap();
        let groups = query.groups("groups");
        let mine = &groups["mine"];
        assert_eq!(mine.text("status").unwrap(), "open");
        mine.fault("attributes[tier]", "is bad");
        query.absorb(mine);
        // Once as bad, once as left over.
        let tier = "/query/groups[mine][attributes][tier]";
        assert_eq!(pointers(&query), ["/query/groups[x]", tier, tier]);
    }

    #[test]
    fn an_object_holds_the_same_parameters() {
        let object = json!({
            "status": ["open", "pending"], "has_failed_send": true, "attributes": { "tier": "gold", "seats": 5 },
            "label": {}, "priority": [], "team_id": null,
        });
        let query = Query::of_object("filter", object.as_object().unwrap());
        assert_eq!(query.texts("status"), ["open", "pending"]);
        assert_eq!(query.flag("has_failed_send"), Some(true));
        let attributes = query.bracketed("attributes");
        assert_eq!(attributes.len(), 2);
        query.fault("attributes[tier]", "is bad");
        assert_eq!(
            pointers(&query),
            [
                "/filter/label",
                "/filter/priority",
                "/filter/team_id",
                "/filter/attributes/tier"
            ]
        );
    }
}
