//! `loginward explain`.

mod wrong;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::program::{Said, run};
use crate::support::guard::ADMIN;
use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Setup, Upstream};

/// Sites with logins of many kinds.
const SITES: &str = r#"
listen: "127.0.0.1:0"
trusted_proxies: 127.0.0.8
bounds: { target: 1KiB }
sites:
  - name: shop
    hosts: [shop.test]
    upstream: "http://127.0.0.1:9"
    closed: /xmlrpc.php
    access: { deny: 192.0.2.66, covers: everything }
    logins:
      - path: /login
        username: [{ form: user }, { json: /user }]
        password: [{ form: password }, { json: /password }]
        max_body: 4KiB
        outcome:
          - success: { status: [302, 303], location: "/app*", set_cookie: sid }
          - success: { status: 200, body: "welcome back" }
          - ignore: { status: 429 }
      - path: /dav
        username: { basic: true }
      - path: "/api/*"
        name: api
        username: { json: /name }
        password: { json: /secret }
        outcome: { success: { status: 200 } }
        lockout: { mode: monitor }
lockout: { limits: { by: [username, ip_address], failures: 3, cool_off: [5m, 1h] } }
"#;

/// A configuration and files in a directory.
struct Stage(tempfile::TempDir);

impl Stage {
    fn set(text: &str) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        stage.file("config.yaml", text.as_bytes());
        stage
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let config = self.0.path().join("config.yaml");
        run(&[&["explain", "--config", config.to_str().unwrap()], arguments].concat())
    }

    /// What is explained, as JSON.
    #[track_caller]
    fn explain(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!said.out.contains("s3cret"), "{}", said.out);
        serde_json::from_str(&said.out).unwrap()
    }

    /// The same of a request that goes over the wire like this.
    #[track_caller]
    fn of(&self, ask: &Ask, more: &[&str]) -> Value {
        let file = self.file("request.http", &ask.bytes());
        self.explain(&[&["--request", &file], more].concat())
    }
}

/// Checks members of an explanation by their pointers.
#[track_caller]
fn check(explained: &Value, expected: &[(&str, Value)]) {
    for (pointer, value) in expected {
        let own = explained.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(own, value, "{pointer} in {explained:#}");
    }
}

#[test]
fn a_request_is_told_in_words_from_its_client_to_its_answer() {
    let stage = Stage::set(SITES);
    let said = stage.run(&[
        "-d",
        "user=Ada+&password=s3cret",
        "--status",
        "302",
        "--answer-header",
        "Location: /login?failed",
        "http://shop.test/login",
    ]);
    let expected = "\
request     POST /login
client      192.0.2.1, who connects; no trusted proxy
site        shop
login       /login (exact path): an attempt: it carries credentials
attempt     by /login, 1 guess
username    \"Ada \", counted as \"ada\"
counter     username+ip_address: username=\"Ada \" ip_address=\"192.0.2.1\"; 3 failures lock for 5m, then 1h
admission   it may go on: it holds a place in each of its counters for each guess
outcome     failure: no rule fits, which counts as a failure
            rule 1 (success) does not fit: `location`
            rule 2 (success) does not fit: `status`
            rule 3 (ignored) does not fit: `status`
answer      302 from the application
";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status), (expected, "", 0));
}

#[test]
fn a_login_of_the_example_is_tried_from_an_address_that_it_lets_in() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yaml");
    let form = ["-d", "user[login]=ada&user[password]=s3cret", "http://shop.example.com/Login/"];
    let said = run(&[&["explain", "--json", "--config", example][..], &form].concat());
    let explained: Value = serde_json::from_str(&said.out).unwrap();
    check(&explained, &[("/refused", Value::Null), ("/forwarded", json!(true))]);
}

#[test]
fn odd_spellings_of_a_path_are_the_login_and_others_are_told_why_not() {
    let stage = Stage::set(SITES);
    let form = ["-d", "user=bob&password=s3cret"];
    for path in ["//login", "/LOGIN", "/x/../login", "/%6cogin", "/login;a=b", "/login/"] {
        let url = format!("http://shop.test{path}");
        let explained = stage.explain(&[&form[..], &[&url]].concat());
        check(
            &explained,
            &[("/attempt/login", json!("/login")), ("/rules/0/attempt", json!(true))],
        );
    }
    let why = |arguments: &[&str]| {
        let explained = stage.explain(arguments);
        check(&explained, &[("/attempt", Value::Null), ("/refused", Value::Null)]);
        explained["rules"][0]["why"].as_str().map(str::to_owned)
    };
    let method =
        "its method is none of the rule's, and it carries no credentials that the rule names";
    assert_eq!(why(&["http://shop.test/login"]).as_deref(), Some(method));
    let adds = "the path adds to the login's, and it carries no credentials that the rule names";
    assert_eq!(why(&["-X", "POST", "http://shop.test/login/more"]).as_deref(), Some(adds));
    let with = "it carries no credentials that the rule names (`attempts: with_credentials`)";
    assert_eq!(why(&["-X", "POST", "http://shop.test/api/things"]).as_deref(), Some(with));
    assert_eq!(why(&["http://shop.test/elsewhere"]), None);
}

#[test]
fn usernames_are_found_in_forms_multipart_json_and_basic() {
    let stage = Stage::set(SITES);
    let names = |explained: &Value| explained["attempt"]["usernames"].clone();
    let several = stage.explain(&["-d", "user=Ada&user=BOB&password=s3cret", "shop.test/login"]);
    let two = json!([{ "raw": "Ada", "account": "ada" }, { "raw": "BOB", "account": "bob" }]);
    assert_eq!(names(&several), two);
    assert_eq!(several["attempt"]["counters"].as_array().unwrap().len(), 2);
    let part = |name: &str, value: &str| {
        format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = format!("{}{}--e--\r\n", part("user", "Ada"), part("password", "s3cret"));
    let multipart = Ask::new("POST", "/login").body("multipart/form-data; boundary=e", parts);
    let ada = json!([{ "raw": "Ada", "account": "ada" }]);
    assert_eq!(names(&stage.of(&multipart, &[])), ada);
    let json = r#"{"user": "Ada", "password": "s3cret"}"#;
    let kind = "Content-Type: application/json";
    let explained = stage.explain(&["-H", kind, "-d", json, "http://shop.test/login"]);
    check(&explained, &[("/attempt/written", json!("json")), ("/attempt/usernames", ada.clone())]);
    let explained = stage.explain(&["-u", "Ada:s3cret", "http://shop.test/dav", "--status", "401"]);
    check(
        &explained,
        &[
            ("/attempt/written", json!("basic")),
            ("/attempt/usernames", ada),
            ("/outcome/outcome", json!("failure")),
            ("/outcome/by", json!("basic")),
        ],
    );
}

#[test]
fn refused_requests_say_why() {
    let stage = Stage::set(SITES);
    let wrong = Ask::login("bob", "s3cret");
    let check_refused = |explained: &Value, status: u16, kind: &str, reason: &str| {
        check(
            explained,
            &[
                ("/status", json!(status)),
                ("/refused/kind", json!(kind)),
                ("/refused/reason", json!(reason)),
                ("/forwarded", json!(false)),
            ],
        );
    };
    let large = Ask::login("bob", &"a".repeat(5000));
    check_refused(&stage.of(&large, &[]), 413, "refused", "body_too_large");
    let coded = wrong.clone().with("Content-Encoding", "zstd");
    check_refused(&stage.of(&coded, &[]), 415, "refused", "unreadable_body");
    let five = Ask::form("/login", "user=a&user=b&user=c&user=d&user=e&password=x");
    check_refused(&stage.of(&five, &[]), 400, "refused", "too_many_guesses");
    check_refused(&stage.explain(&["http://shop.test/XMLRPC.php"]), 403, "denied", "closed");
    check_refused(&stage.explain(&["http://other.test/"]), 421, "refused", "no_site");
    let from = ["--from", "192.0.2.66"];
    check_refused(&stage.of(&Ask::get("/"), &from), 403, "denied", "denied");
    let nameless = wrong.with("X-Forwarded-For", "nobody");
    let nameless = stage.of(&nameless, &["--from", "127.0.0.8"]);
    check_refused(&nameless, 400, "refused", "client_unknown");
    check(&nameless, &[("/client", Value::Null), ("/trusted", json!(true))]);
    let file = stage.file("garbled.http", b"nonsense\r\n\r\n");
    check_refused(&stage.explain(&["--request", &file]), 400, "refused", "unclear");
}

#[test]
fn a_trusted_proxy_says_who_the_client_is() {
    let stage = Stage::set(SITES);
    let ask = Ask::login("bob", "s3cret").with("X-Forwarded-For", "198.51.100.7");
    check(&stage.of(&ask, &["--from", "127.0.0.8"]), &[("/client", json!("198.51.100.7"))]);
    check(&stage.of(&ask, &["--from", "127.0.0.9"]), &[("/client", json!("127.0.0.9"))]);
    let file = stage.file("request.http", &ask.bytes());
    let said = stage.run(&["--request", &file, "--from", "127.0.0.8"]);
    let line = "client      198.51.100.7, as the trusted proxy 127.0.0.8 says\n";
    assert!(said.out.contains(line), "{}", said.out);
}

#[test]
fn answers_are_read_by_the_rules_and_each_that_does_not_fit_says_for_what() {
    let stage = Stage::set(SITES);
    let file = stage.file("request.http", &Ask::login("bob", "s3cret").bytes());
    let outcome = |answer: &[u8]| {
        let answer = stage.file("answer.http", answer);
        stage.explain(&["--request", &file, "--response", &answer])["outcome"].clone()
    };
    let success = outcome(b"HTTP/1.1 302 Found\nLocation: /app/home\nSet-Cookie: sid=1\n\n");
    check(&success, &[("/outcome", json!("success")), ("/rules/0/misses", Value::Null)]);
    let deleted = b"HTTP/1.1 302 Found\nLocation: /app\nSet-Cookie: sid=; Max-Age=0\n\n";
    check(
        &outcome(deleted),
        &[("/outcome", json!("failure")), ("/rules/0/misses", json!("set_cookie"))],
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"<h1>welcome back</h1>").unwrap();
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n";
    let coded = outcome(&[&head[..], &gzip.finish().unwrap()].concat());
    check(&coded, &[("/outcome", json!("success")), ("/rules/1/misses", Value::Null)]);
    let other = outcome(b"HTTP/1.1 200 OK\r\n\r\n<h1>try again</h1>");
    check(&other, &[("/basis", json!("unmatched")), ("/rules/1/misses", json!("body"))]);
    let ignored = outcome(b"HTTP/1.1 429 Too Many Requests\r\n\r\n");
    check(&ignored, &[("/outcome", json!("ignored"))]);
    let broken = outcome(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
    check(&broken, &[("/outcome", json!("failure")), ("/basis", json!("no_verdict"))]);
}

#[test]
fn monitor_mode_is_told_and_what_it_lets_pass() {
    let stage = Stage::set(SITES);
    let ask = Ask::new("POST", "/api/login");
    let login = ask.clone().body("application/json", r#"{"name": "bob", "secret": "s3cret"}"#);
    let explained = stage.of(&login, &["--status", "401"]);
    check(&explained, &[("/attempt/mode", json!("monitor")), ("/status", json!(401))]);
    let five = format!("{{{}\"secret\": \"s3cret\"}}", r#""name": ["a","b","c","d","e"], "#);
    let explained = stage.of(&ask.body("application/json", five), &["--status", "200"]);
    check(&explained, &[("/status", json!(200)), ("/forwarded", json!(true))]);
}

#[test]
fn the_running_guard_says_how_the_counters_stand() {
    let upstream = Upstream::shop();
    let limits = "lockout: { limits: [{ by: [username, ip_address], failures: 2, cool_off: 10m }, \
                  { by: ip_address, failures: 9, cool_off: 10m }] }";
    let guard = Guard::start(&format!("{ADMIN}{limits}"), &upstream);
    let config = guard.config();
    let explain = |user: &str| {
        let form = format!("user={user}&password=s3cret");
        let config = config.to_str().unwrap();
        let url = "http://shop.test/login";
        let from = ["--from", "127.0.0.1", "--live", "-d", &form, url];
        run(&[&["explain", "--config", config], &from[..]].concat())
    };
    assert!(explain("bob").out.contains("; now: nothing counts"), "{}", explain("bob").out);
    for _ in 0..2 {
        guard.client().log_in("Bob", "wrong");
    }
    guard.client().log_in("eve", "wrong");
    let said = explain("bob");
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert!(said.out.contains("; now: locked until 2"), "{}", said.out);
    assert!(said.out.contains("; now: 3 of 9"), "{}", said.out);
    assert!(explain("eve").out.contains("; now: 1 of 2"), "{}", explain("eve").out);
    let text = std::fs::read_to_string(&config).unwrap().replace("admin.sock", "none.sock");
    std::fs::write(guard.dir().join("other.yaml"), text).unwrap();
    let config = guard.dir().join("other.yaml");
    let ask = ["--live", "-d", "user=a&password=b", "http://shop.test/login"];
    let said = run(&[&["explain", "--config", config.to_str().unwrap()][..], &ask].concat());
    assert_eq!(said.status, 3);
    assert!(said.err.starts_with("not reachable: unix:"), "{}", said.err);
}

#[test]
fn it_leaves_no_trace_and_listens_nowhere() {
    let text = SITES.replace("listen: \"127.0.0.1:0\"", "listen: \"192.0.2.1:1\"");
    let stage = Stage::set(&format!("{text}store: {{ snapshot: {{ file: kept.db }} }}\n"));
    let form = ["-d", "user=bob&password=s3cret", "--status", "200", "http://shop.test/login"];
    check(&stage.explain(&form), &[("/outcome/outcome", json!("failure"))]);
    let names = std::fs::read_dir(stage.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["config.yaml"], "and no address of the file is bound");
}

/// Requests of all kinds.
fn requests() -> Vec<Vec<u8>> {
    let form = |body: &str| Ask::form("/login", body);
    let mut asks: Vec<Vec<u8>> = [
        Ask::get("/"),
        Ask::get("/login"),
        Ask::get("/login?user=a&password=b"),
        Ask::get("/xmlrpc.php"),
        Ask::get("/%78mlrpc.php"),
        form("user=bob&password=wrong"),
        form("user=bob"),
        form("password=x"),
        form("user=a&user=b&user=c&user=d&user=e&password=x"),
        form(&format!("password={}", "a".repeat(5000))),
        form("user=%zz&password=x"),
        form("a=b").with("Content-Encoding", "br"),
        form("a=b").with("Content-Type", "text/plain; charset=utf-7"),
        Ask::new("POST", "/login").body("application/json", r#"{"user":"a","password":"b"}"#),
        Ask::new("POST", "/login").body("application/json", r#"{"user":"a","#),
        Ask::new("POST", "/login").body("text/xml", "<user>a</user>"),
        Ask::new("PUT", "/Login/").body("application/x-www-form-urlencoded", "user=a&password=b"),
        Ask::new("POST", "/login.json").body("application/json", r#"{"password":"b"}"#),
        Ask::new("POST", "/api/x").body("application/json", r#"{"name":"b","secret":"c"}"#),
        Ask::new("POST", "/api/x").body("application/json", "[[[["),
        Ask::get("/dav").with("Authorization", "Basic YTpi"),
        Ask::get("/dav").with("Authorization", "Basic ?"),
        Ask::get("/").with("Transfer-Encoding", "gzip"),
        Ask::get(&format!("/{}", "a".repeat(2000))),
        Ask::new("DELETE", "/login"),
    ]
    .iter()
    .map(Ask::bytes)
    .collect();
    asks.extend(
        [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: else.test\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://shop.test/login HTTP/1.1\r\nHost: x\r\n\r\n",
            "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n",
            "POST /login HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n\
             17\r\nuser=bob&password=wrong\r\n0\r\n\r\n",
            "POST /login HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "nonsense\r\n\r\n",
        ]
        .map(|text| text.as_bytes().to_vec()),
    );
    asks
}

#[test]
fn what_it_says_is_what_a_guard_does() {
    let upstream = Upstream::answering(|_| ok("try again"));
    let settings = SITES.replace("http://127.0.0.1:9", "{UPSTREAM}");
    let settings = settings.replace("failures: 3", "failures: 300");
    let setup = Setup::new(&settings).upstream(&upstream);
    let stage = Stage::set(&setup.text);
    let guard = setup.start();
    let answer = stage.file("answer.http", &ok("try again").into_bytes());
    for bytes in requests() {
        let real = guard.client().send(&bytes).answer();
        let request = stage.file("request.http", &bytes);
        let from = ["--from", "127.0.0.1", "--request", &request, "--response", &answer];
        let explained = stage.explain(&from);
        let kind = explained["refused"]["kind"].as_str().unwrap_or_default();
        let told = (explained["status"].as_u64().unwrap() as u16, kind);
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(told, (real.status, real.kind()), "{shown:.300}\n{explained:#}");
    }
}
