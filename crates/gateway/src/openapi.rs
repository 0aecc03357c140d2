//! The OpenAPI 3.1 document: made from the handlers, completed from the table of routes with what holds
//! everywhere, so that no handler has to repeat it.

use std::sync::LazyLock;

use roost_domain::role::Permission;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use crate::auth::Access;
use crate::problem::Code;
use crate::routes::{Document, ROUTES, Route};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::to_value(Document::openapi()).map(complete);
    document
        .and_then(|document| serde_json::to_string_pretty(&document))
        .unwrap_or_else(|error| {
            tracing::error!(%error, "cannot write the OpenAPI document");
            String::from("{}")
        })
});

/// The document as JSON.
#[must_use]
pub fn openapi_json() -> String {
    DOCUMENT.clone()
}

fn complete(mut document: Value) -> Value {
    for route in ROUTES {
        let operation = &mut document["paths"][route.path][route.verb];
        if operation.is_object() {
            describe(operation, route);
        }
    }
    let scopes: Vec<String> = Permission::ALL
        .iter()
        .map(|scope| {
            format!(
                "- `{scope}` ({} and above{}): {}",
                scope.least_role(),
                scope
                    .withheld_from()
                    .map(|role| format!(", not {role}"))
                    .unwrap_or_default(),
                scope.describe()
            )
        })
        .collect();
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": format!(
                "A member's access token (JWT, 15 min) or an API key (`rk_live_…`, `rk_test_…`). \
                 A member has every scope of their role, a key those that it was given:\n\n{}",
                scopes.join("\n")
            ),
        }
    });
    document["components"]["headers"] = json!({
        "RateLimit": {
            "description": "What is left of each allowance, and seconds until it is whole again",
            "schema": { "type": "string" },
            "example": "\"member\";r=1180;t=1, \"brand\";r=11800;t=1",
        },
        "RateLimit-Policy": {
            "description": "The allowances that the request was counted on: requests and seconds",
            "schema": { "type": "string" },
            "example": "\"member\";q=1200;w=60, \"brand\";q=12000;w=60",
        },
    });
    document
}

/// Adds to an operation what follows from its place in the table.
fn describe(operation: &mut Value, route: &Route) {
    operation["operationId"] = Value::String(operation_id(route));
    let is_public = route.access == Access::Public;
    operation["security"] = match route.access {
        Access::Public => json!([]),
        Access::Person => json!([{ "bearer": [] }]),
        Access::Needs(permission) => json!([{ "bearer": [permission.as_str()] }]),
    };
    let has_body = operation["requestBody"].is_object();
    let is_post = route.verb == "post" && !is_public;
    if is_post {
        let parameter = json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "The same key and body give the same answer for 24 h.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => operation["parameters"] = json!([parameter]),
        }
    }
    let mut common = vec![Code::InvalidRequest, Code::RateLimited, Code::Unavailable];
    if !is_public {
        common.extend([Code::Unauthenticated, Code::Forbidden]);
    }
    if route.path.contains('{') {
        common.push(Code::NotFound);
    }
    if has_body {
        common.extend([
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
        ]);
    }
    if is_post {
        common.extend([
            Code::IdempotencyInProgress,
            Code::IdempotencyKeyReused,
            Code::Erased,
        ]);
    }
    // Unsafe methods are refused to foreign pages.
    if route.verb != "get" {
        common.push(Code::OriginRefused);
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        answers(responses, &common);
    }
}

fn answers(responses: &mut Map<String, Value>, common: &[Code]) {
    for code in common {
        responses
            .entry(code.status().to_string())
            .or_insert_with(|| json!({ "description": "" }));
    }
    for (status, response) in responses.iter_mut() {
        response["headers"] = json!({
            "RateLimit": { "$ref": "#/components/headers/RateLimit" },
            "RateLimit-Policy": { "$ref": "#/components/headers/RateLimit-Policy" },
        });
        if !status.starts_with(['4', '5']) {
            continue;
        }
        let here: Vec<&Code> = common
            .iter()
            .filter(|code| code.status().to_string() == *status)
            .collect();
        let mut names: Vec<String> = here.iter().map(|code| format!("`{code}`")).collect();
        if let Some(own) = response["description"]
            .as_str()
            .filter(|own| !own.is_empty())
        {
            names.insert(0, own.to_owned());
        }
        response["description"] = Value::String(names.join(", "));
        response["content"] = json!({
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/ProblemBody" } }
        });
    }
}

/// Such as `get_v1_members_id`: unique, and the same as long as the address is.
fn operation_id(route: &Route) -> String {
    let words = route
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = [route.verb].into_iter().chain(words).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use crate::routes::ROUTES;

    #[test]
    fn every_route_is_documented_under_its_own_name() {
        let document: serde_json::Value = serde_json::from_str(&super::openapi_json()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut documented: Vec<(String, String)> = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            documented.extend(
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(|verb| (verb.clone(), path.clone())),
            );
        }
        let mut routed: Vec<(String, String)> = ROUTES
            .iter()
            .map(|route| (route.verb.to_owned(), route.path.to_owned()))
            .collect();
        documented.sort();
        routed.sort();
        assert_eq!(documented, routed);
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let mut names: Vec<String> = ROUTES.iter().map(super::operation_id).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ROUTES.len());
    }
}
