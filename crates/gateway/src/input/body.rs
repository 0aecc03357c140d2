//! JSON bodies.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::MAX_BODY_BYTES;
use crate::auth::BodyHash;
use crate::problem::{Code, Problem};

/// Time in which a body must have arrived: the server's own limit ends with the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body that must be there.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, MAX_BODY_BYTES).await?;
            check_type(&request)?;
            parse(&bytes).map(Self)
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, MAX_BODY_BYTES).await?;
            if bytes.is_empty() {
                return Ok(Self(T::default()));
            }
            check_type(&request)?;
            parse(&bytes).map(Self)
        })
    }
}

/// Reads a body of so many bytes at most.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    max: usize,
) -> Result<web::BytesMut, Problem> {
    let mut bytes = web::BytesMut::new();
    let reading = async {
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|error| Problem::with(Code::InvalidRequest, error.to_string()))?;
            if bytes.len() + chunk.len() > max {
                return Err(Problem::new(Code::BodyTooLarge));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(())) => {
            let hash = BodyHash(Sha256::digest(&bytes).into());
            request.extensions_mut().insert(hash);
            Ok(bytes)
        }
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(Problem::new(Code::RequestTimeout)),
    }
}

fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let kind = request.content_type().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind == "application/merge-patch+json";
    if is_json || !request.headers().contains_key(CONTENT_TYPE) {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::with(Code::InvalidJson, error.to_string()))?;
    if !value.is_object() {
        return Err(Problem::at(Code::InvalidRequest, "", "must be an object"));
    }
    if let Some(pointer) = find_nul(&value, "") {
        return Err(Problem::at(
            Code::InvalidRequest,
            pointer,
            "must not contain U+0000",
        ));
    }
    of_value(value)
}

/// Reads a value whose texts are known to be fit for the database.
pub(super) fn of_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::at(
            Code::InvalidRequest,
            pointer,
            error.into_inner().to_string(),
        )
    })
}

/// PostgreSQL can't store U+0000, and no text needs it.
fn find_nul(value: &Value, at: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| at.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item, &format!("{at}/{index}"))),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let here = format!("{at}/{}", escape(name));
            if name.contains('\0') {
                Some(here)
            } else {
                find_nul(member, &here)
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// RFC 6901 escapes.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        text: String,
        #[serde(default)]
        count: Option<i64>,
    }

    fn fault(body: &str) -> (Code, String) {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        let body = serde_json::to_value(problem.faults_for_test()).unwrap();
        (
            problem.code(),
            body[0]["pointer"].as_str().unwrap_or("-").to_owned(),
        )
    }

    #[test]
    fn every_kind_of_bad_body_is_a_fault_with_its_place() {
        for (body, code, pointer) in [
            ("{", Code::InvalidJson, "-"),
            ("", Code::InvalidJson, "-"),
            ("[]", Code::InvalidRequest, ""),
            ("null", Code::InvalidRequest, ""),
            (r#"{"text":1}"#, Code::InvalidRequest, "/text"),
            (r#"{"text":null}"#, Code::InvalidRequest, "/text"),
            (r#"{"count":"3"}"#, Code::InvalidRequest, "/count"),
            (r#"{"count":2.5}"#, Code::InvalidRequest, "/count"),
            (r#"{"text":"a\u0000b"}"#, Code::InvalidRequest, "/text"),
            (r#"{"text":"\ud83d"}"#, Code::InvalidJson, "-"),
            (r#"{"extra":1}"#, Code::InvalidRequest, "/extra"),
        ] {
            assert_eq!(fault(body), (code, pointer.to_owned()), "{body}");
        }
        assert_eq!(
            parse::<Sample>(br#"{"text":"x","count":3}"#).unwrap().count,
            Some(3)
        );
        assert_eq!(parse::<Sample>(br#"{"text":"x"}"#).unwrap().text, "x");
    }
}
