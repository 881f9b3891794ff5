//! Asking as an operator's program does.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Answer, Client, Guard};

/// Somebody who asks a guard at its admin address.
#[derive(Clone, Debug)]
pub struct Operator {
    to: To,
    /// Fields of each request.
    pub fields: String,
}

#[derive(Clone, Debug)]
enum To {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Whoever asks `guard` at its unix socket.
pub fn operator(guard: &Guard) -> Operator {
    let path = guard.admin().strip_prefix("unix:").unwrap().into();
    Operator { to: To::Unix(path), fields: "Host: localhost\r\n".to_owned() }
}

impl Operator {
    /// Whoever asks over TCP, with these fields.
    pub const fn over_tcp(address: SocketAddr, fields: String) -> Self {
        Self { to: To::Tcp(address), fields }
    }

    /// A connection of its own.
    pub fn connect(&self) -> Client {
        match &self.to {
            To::Tcp(address) => Client::to_addr(*address),
            To::Unix(path) => Client::to_unix(path),
        }
    }

    /// Asks for `target`, with more fields and a body.
    #[track_caller]
    pub fn ask(&self, method: &str, target: &str, (fields, body): (&str, &str)) -> Answer {
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{method} {target} HTTP/1.1\r\n{}{fields}{length}\r\n", self.fields);
        self.connect().send(format!("{head}{body}")).answer_to(method)
    }

    /// Gets what is at `target`, which there is.
    #[track_caller]
    pub fn get(&self, target: &str) -> Value {
        let answer = self.ask("GET", target, ("", ""));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(answer.get("content-type"), Some("application/json"), "{target}");
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// Posts `body` to `target`, which takes it.
    #[track_caller]
    pub fn post(&self, target: &str, body: &Value) -> Value {
        let fields = "Content-Type: application/json\r\n";
        let answer = self.ask("POST", target, (fields, &body.to_string()));
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// The counters that a list for `query` has.
    #[track_caller]
    pub fn list(&self, query: &str) -> Vec<Value> {
        let list = self.get(&format!("/v1/counters?{query}"));
        list["counters"].as_array().unwrap().clone()
    }

    /// How the problem of a GET is told.
    #[track_caller]
    pub fn problem(&self, target: &str) -> (u16, String) {
        problem(&self.ask("GET", target, ("", "")))
    }
}

/// The status and the detail of an answer that is a problem in the form that RFC 9457 wants.
#[track_caller]
pub fn problem(answer: &Answer) -> (u16, String) {
    let text = answer.text();
    assert_eq!(answer.get("content-type"), Some("application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], answer.status, "{text}");
    assert_eq!(problem["type"], "about:blank", "{text}");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{text}");
    (answer.status, problem["detail"].as_str().unwrap().to_owned())
}
