//! The OpenAPI document, as the walks read it.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::Gateway;

/// An operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) spec: Value,
}

/// The document of a gateway.
#[derive(Debug)]
pub(crate) struct Document(Value);

impl Document {
    pub(crate) async fn of(gateway: &Gateway) -> Self {
        let answer = gateway
            .call(None, Method::GET, "/openapi.json", None, &[])
            .await;
        Self(answer.body)
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (verb, spec) in item.as_object().unwrap() {
                all.push(Operation {
                    method: Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap(),
                    path: path.clone(),
                    spec: spec.clone(),
                });
            }
        }
        all
    }

    /// The schema of an operation's JSON body.
    pub(crate) fn body<'a>(&'a self, operation: &'a Operation) -> Option<&'a Value> {
        let schema = &operation.spec["requestBody"]["content"]["application/json"]["schema"];
        schema.is_object().then(|| self.resolve(schema))
    }

    /// The properties of a schema.
    pub(crate) fn properties<'a>(&'a self, schema: &'a Value) -> Vec<(&'a String, &'a Value)> {
        let properties = self.resolve(schema)["properties"].as_object();
        properties.into_iter().flatten().collect()
    }

    /// A small value that a schema allows.
    pub(crate) fn sample(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
            return example.clone();
        }
        if let Some(value) = schema["enum"].get(0) {
            return value.clone();
        }
        match type_of(schema) {
            _ if schema["properties"].is_object() => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let fields: Map<String, Value> = required
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|name| (name.to_owned(), self.sample(&schema["properties"][name])))
                    .collect();
                Value::Object(fields)
            }
            "object" => json!({}),
            "array" => json!([]),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(true),
            _ if schema["format"] == "date-time" => json!("2026-01-31T12:00:00.000Z"),
            _ => {
                let length = schema["minLength"].as_u64().unwrap_or(1).max(1);
                json!("x".repeat(usize::try_from(length).unwrap()))
            }
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            return self.resolve(self.0.pointer(name.trim_start_matches('#')).unwrap());
        }
        let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        match choices.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            Some(choice) => self.resolve(choice),
            None => schema,
        }
    }
}

fn type_of(schema: &Value) -> &str {
    let kind = &schema["type"];
    kind.as_str()
        .or_else(|| {
            kind.as_array()?
                .iter()
                .filter_map(Value::as_str)
                .find(|kind| *kind != "null")
        })
        .unwrap_or("string")
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_public(&self) -> bool {
        self.spec["security"] == json!([])
    }

    /// The scope that it asks for.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.spec["security"][0]["bearer"][0].as_str()
    }

    /// Names of the query parameters.
    pub(crate) fn query(&self) -> Vec<&str> {
        let parameters = self.spec["parameters"].as_array();
        let in_query = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query");
        in_query
            .filter_map(|parameter| parameter["name"].as_str())
            .collect()
    }
}
