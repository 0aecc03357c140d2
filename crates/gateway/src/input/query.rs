//! Query parameters: repeated values of one are OR, unknown ones are refused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use jiff::Timestamp;

use super::Checks;
use crate::problem::{Code, Problem};

/// The parameters of a request, taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Query {
    left: RefCell<BTreeMap<String, Vec<String>>>,
    checks: RefCell<Checks>,
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
            return Err(Problem::with(
                Code::InvalidRequest,
                "too many query parameters",
            ));
        }
        let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut checks = Checks::default();
        for (name, value) in pairs {
            if value.contains('\0') {
                checks.fault(&pointer(&name), "must not contain U+0000");
            }
            left.entry(name).or_default().push(value);
        }
        Ok(Self {
            left: RefCell::new(left),
            checks: RefCell::new(checks),
        })
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
            .filter_map(|value| checks.parse(&pointer(name), value))
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
                id => checks.parse(&pointer(name), id).map(Some),
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
        self.checks.borrow_mut().instant(&pointer(name), &value)
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
        self.checks.borrow_mut().fault(&pointer(name), detail);
    }

    /// Refuses if anything was wrong or is left over.
    pub(crate) fn finish(&self) -> Result<(), Problem> {
        let mut checks = self.checks.take();
        for name in self.left.take().keys() {
            checks.fault(&pointer(name), "is not a parameter of this address");
        }
        checks.finish()
    }
}

fn pointer(name: &str) -> String {
    format!("/query/{}", name.replace('~', "~0").replace('/', "~1"))
}
