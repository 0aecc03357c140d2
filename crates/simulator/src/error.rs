//! Refusals, in the two shapes that the platform's callers know.
//!
//! v1.1 and OAuth answer `{"errors":[{"code","message"}]}`, v2 a problem document. A v2 problem
//! that has a numeric code carries it in `errors` too, so that a client may key on the number.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

/// One refusal.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: u16,
    code: Option<u32>,
    title: &'static str,
    /// Last part of the problem's URL; empty stands for `about:blank`.
    problem: &'static str,
    detail: String,
}

/// Which of the shapes a path speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V1,
    V2,
    Sim,
}

impl Dialect {
    fn of(path: &str) -> Self {
        if path.starts_with("/sim/") {
            Self::Sim
        } else if path.starts_with("/2/") {
            Self::V2
        } else {
            Self::V1
        }
    }
}

impl ApiError {
    fn new(
        status: u16,
        code: Option<u32>,
        title: &'static str,
        problem: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            problem,
            detail: detail.into(),
        }
    }

    /// A request that breaks the schema.
    pub(crate) fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(400, Some(44), "Invalid Request", "invalid-request", detail)
    }

    /// Invalid in a way that the platform has a number for.
    pub(crate) fn invalid(code: u32, detail: impl Into<String>) -> Self {
        Self::new(
            400,
            Some(code),
            "Invalid Request",
            "invalid-request",
            detail,
        )
    }

    pub(crate) fn no_credentials() -> Self {
        Self::new(
            401,
            Some(215),
            "Unauthorized",
            "",
            "Bad Authentication data.",
        )
    }

    pub(crate) fn bad_auth_data() -> Self {
        Self::new(
            400,
            Some(215),
            "Unauthorized",
            "",
            "Bad Authentication data.",
        )
    }

    pub(crate) fn could_not_authenticate() -> Self {
        Self::new(
            401,
            Some(32),
            "Unauthorized",
            "",
            "Could not authenticate you.",
        )
    }

    pub(crate) fn timestamp_out_of_bounds() -> Self {
        Self::new(
            401,
            Some(135),
            "Unauthorized",
            "",
            "Timestamp out of bounds.",
        )
    }

    pub(crate) fn dead_token() -> Self {
        Self::new(
            401,
            Some(89),
            "Unauthorized",
            "",
            "Invalid or expired token.",
        )
    }

    /// The right credentials of the wrong kind.
    pub(crate) fn wrong_auth_kind() -> Self {
        let detail = "Authenticating with this kind of credentials is forbidden for this endpoint.";
        Self::new(
            403,
            Some(220),
            "Unsupported Authentication",
            "unsupported-authentication",
            detail,
        )
    }

    /// 403 with one of the platform's numbers.
    pub(crate) fn forbidden(code: u32, detail: &'static str) -> Self {
        Self::new(
            403,
            Some(code),
            "Forbidden",
            "not-authorized-for-resource",
            detail,
        )
    }

    pub(crate) fn not_found(code: u32, detail: impl Into<String>) -> Self {
        Self::new(
            404,
            Some(code),
            "Not Found Error",
            "resource-not-found",
            detail,
        )
    }

    pub(crate) fn no_such_route() -> Self {
        Self::new(
            404,
            Some(34),
            "Not Found",
            "",
            "Sorry, that page does not exist.",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            Some(86),
            "Method Not Allowed",
            "",
            "This method requires another HTTP verb.",
        )
    }

    pub(crate) fn conflict(code: u32, detail: impl Into<String>) -> Self {
        Self::new(409, Some(code), "Conflict", "conflict", detail)
    }

    pub(crate) fn rate_limited() -> Self {
        Self::new(
            429,
            Some(88),
            "Too Many Requests",
            "",
            "Rate limit exceeded",
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            500,
            Some(131),
            "Internal Server Error",
            "",
            "Internal error",
        )
    }

    pub(crate) fn over_capacity() -> Self {
        Self::new(503, Some(130), "Service Unavailable", "", "Over capacity")
    }

    fn body(&self, dialect: Dialect) -> Value {
        let errors = json!([{ "code": self.code, "message": self.detail }]);
        match dialect {
            Dialect::V1 => json!({ "errors": errors }),
            Dialect::Sim => json!({ "error": self.detail }),
            Dialect::V2 => {
                let kind = match self.problem {
                    "" => "about:blank".to_owned(),
                    slug => format!("https://api.x.com/2/problems/{slug}"),
                };
                let mut body = json!({
                    "title": self.title, "detail": self.detail, "type": kind, "status": self.status,
                });
                if self.code.is_some() {
                    body["errors"] = errors;
                }
                body
            }
        }
    }

    /// The answer for a caller of `path`.
    pub(crate) fn response(&self, path: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        HttpResponse::build(status).json(self.body(Dialect::of(path)))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_gets_its_own_shape() {
        let error = ApiError::forbidden(349, "You cannot send messages to this user.");
        assert_eq!(
            error.body(Dialect::of("/1.1/x.json"))["errors"][0]["code"],
            349
        );
        let v2 = error.body(Dialect::of("/2/x"));
        assert_eq!(v2["status"], 403);
        assert_eq!(
            v2["type"],
            "https://api.x.com/2/problems/not-authorized-for-resource"
        );
        assert_eq!(v2["errors"][0]["code"], 349);
        assert_eq!(
            ApiError::rate_limited().body(Dialect::V2)["type"],
            "about:blank"
        );
    }
}
