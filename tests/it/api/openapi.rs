//! The document that describes the API, held against what the guard does.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use loginward::admin::api::ROUTES;
use serde_json::{Value, json};

use super::asking::{Operator, operator, problem};
use crate::support::guard::ADMIN;
use crate::support::{Ask, Guard, Upstream};

/// The document, and which of the lists that it describes have been seen with something in them.
struct Described {
    document: Value,
    lists: RefCell<BTreeMap<String, bool>>,
}

/// Whether `value` is what `schema` says, all the way down; otherwise where it is not.
fn check(described: &Described, schema: &Value, value: &Value, at: &str) {
    let document = &described.document;
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return check(described, document.pointer(pointer).unwrap(), value, at);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let chosen = either.iter().find(|one| (one["type"] == "null") == value.is_null());
        return check(described, chosen.unwrap(), value, at);
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
    if let Some(items) = value.as_array() {
        *described.lists.borrow_mut().entry(at.to_owned()).or_default() |= !items.is_empty();
        assert!(schema["items"].is_object(), "{at}: it is not said of what it is a list");
        items.iter().for_each(|item| check(described, &schema["items"], item, &format!("{at}[]")));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter(|_| value.is_object()) {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at} lacks {name}");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => check(described, schema, member, &format!("{at}.{name}")),
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

impl Described {
    fn of(asks: &Operator) -> Self {
        Self { document: asks.get("/openapi.json"), lists: RefCell::default() }
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        &self.document["paths"][path][method.to_lowercase()]
    }

    /// What stands for the status of an answer.
    fn response(&self, (method, path): (&str, &str), status: u16) -> &Value {
        let response = &self.operation(method, path)["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path}: {status} is not described");
        let pointer = response["$ref"].as_str().map(|name| name.strip_prefix('#').unwrap());
        pointer.map_or(response, |pointer| self.document.pointer(pointer).unwrap())
    }

    /// The schema of the body that `path` is sent.
    fn sent(&self, path: &str) -> &Value {
        let body = &self.operation("POST", path)["requestBody"]["content"];
        let name = body["application/json"]["schema"]["$ref"].as_str().unwrap();
        self.document.pointer(name.strip_prefix('#').unwrap()).unwrap()
    }

    /// Asks, and holds what is sent and what is answered against the document.
    #[track_caller]
    fn ask(&self, asks: &Operator, asked: &Asked<'_>) -> Value {
        let Asked { method, path, more, body, status } = asked;
        if let Ok(sent) = serde_json::from_str::<Value>(body)
            && *status < 400
        {
            check(self, self.sent(path), &sent, &format!("{path} sent"));
        }
        let fields = match (body.is_empty(), *path) {
            (true, _) => "",
            (false, "/v1/import") => "Content-Type: application/x-ndjson\r\n",
            (false, _) => "Content-Type: application/json\r\n",
        };
        let target = match more.strip_prefix('/') {
            Some(reference) => path.replace("{ref}", reference),
            None => format!("{path}{more}"),
        };
        let answer = asks.ask(method, &target, (fields, body));
        assert_eq!(answer.status, *status, "{method} {target}: {}", answer.text());
        let content = &self.response((method, path), *status)["content"];
        let (kind, content) = content.as_object().unwrap().iter().next().unwrap();
        assert_eq!(answer.get("content-type"), Some(kind.as_str()), "{path}");
        if !kind.ends_with("json") || kind.ends_with("ndjson") {
            return Value::Null;
        }
        let value: Value = serde_json::from_str(&answer.text()).unwrap();
        check(self, &content["schema"], &value, &format!("{method} {path} {status}"));
        value
    }
}

/// A question, and the status of its answer.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    /// Its query, or `/` and a reference.
    more: &'a str,
    body: &'a str,
    status: u16,
}

const fn get<'a>(path: &'a str, more: &'a str) -> Asked<'a> {
    Asked { method: "GET", path, more, body: "", status: 200 }
}

const fn post<'a>(path: &'a str, body: &'a str) -> Asked<'a> {
    Asked { method: "POST", path, more: "", body, status: 200 }
}

const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 2, cool_off: 10m }
    - { by: [ip_address], failures: 4, cool_off: 1h }
sites:
  - name: shop
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
      - path: /watched
        username: { form: user }
        password: { form: password }
        lockout: { mode: monitor }
        outcome: inferred
";

/// A guard of which everything can be told.
fn eventful(upstream: &Upstream) -> Guard {
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), upstream);
    for user in ["bob", "bob", "eve", "ada"] {
        guard.ask(&Ask::login(user, "wrong").with("X-Forwarded-For", "192.0.2.1"));
    }
    guard
}

#[test]
fn every_route_is_described_and_answers_as_described() {
    let upstream = Upstream::shop();
    let guard = eventful(&upstream);
    let refused = guard.ask(&Ask::login("bob", "right"));
    let reference = format!("/{}", refused.get("x-loginward-ref").unwrap());
    let asks = operator(&guard);
    let described = Described::of(&asks);
    assert_eq!(described.document["openapi"], "3.1.0");
    let mut asked = BTreeSet::new();
    let mut ask = |question: Asked<'_>| {
        asked.insert((question.method.to_owned(), question.path.to_owned()));
        described.ask(&asks, &question)
    };
    ask(get("/v1/references/{ref}", &reference));
    ask(post("/v1/lock", r#"{ "username": "mallory", "for_s": 60, "reason": "x" }"#));
    ask(post("/v1/lock", r#"{ "site": "shop" }"#));
    let by_hand = guard.ask(&Ask::login("zoe", "right"));
    let by_hand = format!("/{}", by_hand.get("x-loginward-ref").unwrap());
    ask(get("/v1/references/{ref}", &by_hand));
    ask(get("/v1/locks", "?site=shop"));
    ask(get("/v1/refusals", "?what=zoe"));
    ask(get("/v1/counters", "?state=locked&sort=failures&order=desc&limit=5"));
    ask(post("/v1/reset", r#"{ "username": "eve" }"#));
    ask(post("/v1/unlock", r#"{ "all": true, "only": "without_verdict" }"#));
    ask(get("/v1/events", "?follow=false&last=5"));
    guard.reconfigure(|text| text.replace("workers: 2", "workers: 3"));
    ask(Asked { body: "", ..post("/v1/reload", "") });
    for path in ["/v1/status", "/v1/rules", "/v1/statistics", "/v1/config", "/openapi.json"] {
        ask(get(path, ""));
    }
    ask(get("/v1/export", ""));
    ask(post("/v1/import", EXPORT));
    ask(Asked { status: 400, ..post("/v1/upgrade", "") });
    let routes: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(asked, routes, "all of them are asked");
    let mut paths = BTreeSet::new();
    for (path, methods) in described.document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        paths.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    assert_eq!(paths, routes, "the document and the router know the same");
    let lists = described.lists.borrow();
    let empty: Vec<&String> = lists.iter().filter(|(_, seen)| !**seen).map(|(at, _)| at).collect();
    let unseen: [&str; 0] = [];
    assert_eq!(empty, unseen, "lists that were always empty");
}

/// What is known is said to whoever sends something else.
#[test]
fn members_and_parameters_are_those_that_are_described() {
    let upstream = Upstream::shop();
    let guard = eventful(&upstream);
    let asks = operator(&guard);
    let described = Described::of(&asks);
    let known = |problem: &Value| -> BTreeSet<String> {
        let (_, known) = problem["detail"].as_str().unwrap().split_once("known: ").unwrap();
        known.split(", ").map(str::to_owned).collect()
    };
    for path in ["/v1/lock", "/v1/reset", "/v1/unlock"] {
        let question = Asked { status: 400, ..post(path, r#"{ "nonsense": 1 }"#) };
        let properties = described.sent(path)["properties"].as_object().unwrap();
        let names: BTreeSet<String> = properties.keys().cloned().collect();
        assert_eq!(known(&described.ask(&asks, &question)), names, "{path}");
        for (name, schema) in properties {
            let mut body = json!({ name.as_str(): { "a": [] } });
            if name == "for_s" {
                body["username"] = json!("bob");
            }
            let body = body.to_string();
            let question = Asked { status: 400, ..post(path, &body) };
            let refused = described.ask(&asks, &question);
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("`{name}` is ")), "{path}: {schema}: {detail}");
        }
    }
    for path in ["/v1/counters", "/v1/locks", "/v1/refusals"] {
        let question = Asked { status: 400, ..get(path, "?nonsense=1") };
        let described_as = described.operation("GET", path)["parameters"].as_array().unwrap();
        let name = |parameter: &Value| parameter["name"].as_str().unwrap().to_owned();
        let names: BTreeSet<String> = described_as.iter().map(name).collect();
        assert_eq!(known(&described.ask(&asks, &question)), names, "{path}");
    }
}

#[test]
fn every_error_is_described_where_it_can_be_met() {
    let upstream = Upstream::shop();
    let guard = eventful(&upstream);
    let asks = operator(&guard);
    let described = Described::of(&asks);
    let strange = |fields: &str, status: u16| {
        for (method, path) in ROUTES {
            let target = path.replace("{ref}", "00000000");
            let answer = asks.ask(method, &target, (fields, ""));
            assert_eq!(problem(&answer).0, status, "{method} {path}: {}", answer.text());
            described.response((method, path), status);
        }
    };
    strange("Origin: http://evil.example\r\n", 403);
    strange("Host: evil.example\r\n", 421);
    strange(&"X: y\r\n".repeat(100), 431);
    for (method, path) in ROUTES {
        described.response((method, path), 401);
    }
    let large = format!("{{ \"reason\": \"{}\" }}", "x".repeat(70_000));
    for path in ["/v1/lock", "/v1/reset", "/v1/unlock"] {
        described.ask(&asks, &Asked { status: 413, ..post(path, &large) });
        described.ask(&asks, &Asked { status: 400, ..post(path, "{}") });
        let answer = asks.ask("POST", path, ("Content-Type: text/plain\r\n", "{}"));
        assert_eq!(problem(&answer).0, 415);
        for status in [408, 415] {
            described.response(("POST", path), status);
        }
    }
    let nobody = json!({ "counter": "0".repeat(32) }).to_string();
    described.ask(&asks, &Asked { status: 404, ..post("/v1/lock", &nobody) });
    described.ask(&asks, &Asked { status: 404, ..get("/v1/references/{ref}", "/00000000") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/references/{ref}", "/x") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/counters", "?limit=0") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/locks", "?ip=x") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/refusals", "?ip=x") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/statistics", "?span_s=1") });
    described.ask(&asks, &Asked { status: 400, ..get("/v1/events", "?last=x") });
    described.ask(&asks, &Asked { status: 400, ..post("/v1/import", "x") });
    guard.reconfigure(|text| text.replace("workers: 2", "wrokers: 2"));
    described.ask(&asks, &Asked { status: 422, ..post("/v1/reload", "") });
}
