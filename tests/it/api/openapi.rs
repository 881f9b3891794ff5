//! The document that describes the API, held against what the guard does.

use loginward::admin::api::ROUTES;
use serde_json::{Value, json};

use super::asking::{Operator, operator};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

/// Whether `value` is what `schema` says, all the way down; otherwise where it is not.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return check(document, document.pointer(pointer).unwrap(), value, at);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let chosen = either.iter().find(|one| (one["type"] == "null") == value.is_null());
        return check(document, chosen.unwrap(), value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let one = std::slice::from_ref(&schema["type"]);
    let types = schema["type"].as_array().map_or(one, Vec::as_slice);
    assert!(types.contains(&json!(kind)), "{at} is {kind}: {value}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at} is {value}");
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{at}[{index}]"));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter(|_| value.is_object()) {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at} lacks {name}");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => check(document, schema, member, &format!("{at}.{name}")),
            (None, Value::Bool(false)) => panic!("{at} has {name}, which is not described"),
            (None, _) => {}
        }
    }
}

/// What another guard may have told.
const EXPORT: &str = r#"{"loginward_export":{"version":1,"program":"0.1.0","at":"then","at_ms":0}}
{"counter":{"who":{"site":"x","limit":"y","parameters":{"username":"bob"}},"latest_ms":-1}}
{"lock":{"username":"bob","until_ms":5}}
{"end":{"counters":1,"locks":1}}
"#;

/// Something to ask each route that takes a body or a parameter.
fn example(path: &str) -> (&'static str, Value) {
    match path {
        "/v1/lock" => ("", json!({ "username": "mallory", "for_s": 60, "reason": "x" })),
        "/v1/reset" => ("", json!({ "username": "nobody" })),
        "/v1/unlock" => ("", json!({ "all": true, "only": "without_verdict" })),
        "/v1/events" => ("?follow=false&last=5", Value::Null),
        _ => ("", Value::Null),
    }
}

/// Asks as the document describes, and holds the answer against it.
fn ask(asks: &Operator, document: &Value, (method, path): (&str, &str), reference: &str) {
    let described = &document["paths"][path][method.to_lowercase()];
    let (query, body) = example(path);
    let target = format!("{}{query}", path.replace("{ref}", reference));
    let sends = !body.is_null();
    let (fields, body) = match (path, sends) {
        ("/v1/import", _) => ("Content-Type: application/x-ndjson\r\n", EXPORT.to_owned()),
        (_, true) => ("Content-Type: application/json\r\n", body.to_string()),
        (_, false) => ("", String::new()),
    };
    let answer = asks.ask(method, &target, (fields, &body));
    if path == "/v1/upgrade" {
        assert_eq!(answer.status, 400, "it is no guard that asks");
        return;
    }
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    let (kind, content) =
        described["responses"]["200"]["content"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(answer.get("content-type"), Some(kind.as_str()), "{path}");
    if kind == "application/json" {
        let value: Value = serde_json::from_str(&answer.text()).unwrap();
        check(document, &content["schema"], &value, path);
    }
}

#[test]
fn every_route_is_described_and_answers_as_described() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: [username, ip_address], failures: 2, cool_off: 10m } }";
    let guard = Guard::start(&format!("{ADMIN}{limit}"), &upstream);
    for user in ["bob", "bob", "eve"] {
        guard.ask(&Ask::login(user, "wrong"));
    }
    let reference = guard.wait_for_event("locked_out").get("ref").to_owned();
    let asks = operator(&guard);
    let document = asks.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        described.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    described.sort();
    let mut routes: Vec<(String, String)> =
        ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    routes.sort();
    assert_eq!(described, routes, "the document and the router know the same");
    for (method, path) in &routes {
        ask(&asks, &document, (method, path), &reference);
    }
    let problem = asks.ask("GET", "/v1/references/00000000", ("", ""));
    assert_eq!(problem.status, 404);
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    check(&document, &schema, &serde_json::from_str(&problem.text()).unwrap(), "problem");
}
