//! The OpenAPI 3.1 document, made from the handlers.

use std::sync::LazyLock;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    crate::routes::document()
        .to_pretty_json()
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
            .map(|(verb, path)| ((*verb).to_owned(), (*path).to_owned()))
            .collect();
        documented.sort();
        routed.sort();
        assert_eq!(documented, routed);
    }
}
