//! The parts of a request's way that are ours, one by one: `cargo bench --bench parts`, or
//! `cargo bench --bench parts -- path`.
//!
//! Each is measured with what is usual and with what costs most. Times are of this machine at this
//! moment: compare them with those of another run that began when this one did.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]

#[path = "shared/counters.rs"]
mod counters;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use loginward::clock::Clock;
use loginward::config::Settings;
use loginward::headers::{Forwarding, Trust, X_FORWARDED_FOR, to_client, to_upstream};
use loginward::policy::account::{Charset, Naming, accounts};
use loginward::policy::client::ClientAddr;
use loginward::policy::credentials::{Request, read};
use loginward::policy::path::{PathIndex, PathPattern};
use loginward::policy::route::LoginRule;

criterion_group!(parts, path, credentials, folding, counting, headers);
criterion_main!(parts);

/// Whether a path is a login's, with few and with many logins to choose from.
fn path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path");
    let kinds = [
        ("other", "/assets/css/site-3f1c.css"),
        ("login", "/login"),
        ("respelled", "/x/%2e%2e/%4cogin;jsessionid=1"),
        ("far from plain", "/a//b/..%2f..%2f%256cogin/%c0%ae./c/../\\d/"),
    ];
    for patterns in [1, 200] {
        let others = (1..patterns).map(|number| format!("/area-{number}/login"));
        let all = others.chain(["/login".to_owned()]);
        let all = all.map(|written| (PathPattern::parse(&written).expect("a pattern"), ()));
        let index = PathIndex::new(all);
        for (kind, raw) in kinds {
            group.bench_function(BenchmarkId::new(kind, patterns), |bencher| {
                bencher.iter(|| index.find(black_box(raw)));
            });
        }
    }
    group.finish();
}

/// Who an attempt says it is, from bodies of several kinds.
fn credentials(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("credentials");
    let (form, json) = (rule("form"), rule("json"));
    let parts = "--B\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nann@example.com\r\n\
        --B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nsecret\r\n--B--\r\n";
    let many = format!("{}&username=ann%40example.com&password=secret", vec!["a=b"; 500].join("&"));
    let cases = [
        (
            "form",
            &form,
            "application/x-www-form-urlencoded",
            "username=ann%40example.com&password=secret",
        ),
        ("form of 500 fields", &form, "application/x-www-form-urlencoded", &*many),
        ("multipart", &form, "multipart/form-data; boundary=B", parts),
        (
            "json",
            &json,
            "application/json",
            r#"{"username":"ann@example.com","password":"secret"}"#,
        ),
    ];
    for (name, rule, media, body) in cases {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media).expect("a value"));
        let body = Some(body.as_bytes());
        let request = Request { names: &[], query: None, headers: &headers, body };
        assert_eq!(read(rule, &request).expect("readable").usernames.len(), 1, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| read(rule, black_box(&request))));
    }
    group.finish();
}

/// A login rule whose fields are in bodies of that kind.
fn rule(kind: &str) -> Arc<LoginRule> {
    let field = |name: &str| if kind == "json" { format!("/{name}") } else { name.to_owned() };
    let (username, password) = (field("username"), field("password"));
    let text = format!(
        "listen: 127.0.0.1:0
sites:
  - upstream: http://127.0.0.1:1
    logins:
      - path: /login
        username: {{ {kind}: {username} }}
        password: {{ {kind}: {password} }}
        outcome: {{ success: {{ status: 302 }} }}
"
    );
    let parsed = Settings::parse(&text, Path::new("."), "bench.yaml");
    let (settings, _) = parsed.expect("a configuration");
    Arc::clone(&settings.sites[0].site.logins[0])
}

/// The normal form of a name.
fn folding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("folding");
    let naming = Naming::default();
    let cases = [
        ("plain", "ann"),
        ("mail", "Ann.Example@Example.COM"),
        ("letters of the world", "ÅSTRÖM-Σίσυφος@ＥＸＡＭＰＬＥ.com"),
    ];
    for (name, username) in cases {
        group.bench_function(name, |bencher| {
            let raw = black_box(username.as_bytes());
            bencher.iter(|| accounts(raw, Charset::Utf8, &naming));
        });
    }
    group.finish();
}

/// An attempt that is admitted, fails and is charged, with few and with many counters in memory.
fn counting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit and settle");
    for counters in [1_000, 1_000_000] {
        let (store, limit) = counters::room(&Clock::driven(), counters);
        (0..counters).for_each(|number| counters::fail(&store, &limit, number));
        let mut numbers = (0..counters).step_by(997).cycle();
        group.bench_function(BenchmarkId::new("counters", counters), |bencher| {
            bencher.iter(|| counters::fail(&store, &limit, numbers.next().unwrap_or_default()));
        });
    }
    group.finish();
}

/// The heads of a request and of an answer on their way.
fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("headers");
    let (address, header) = (IpAddr::V4(Ipv4Addr::LOCALHOST), X_FORWARDED_FOR);
    let (peer, id) = (HeaderValue::from_static("127.0.0.1"), HeaderValue::from_static("a1b2c3"));
    let forwarded = HeaderValue::from_static("for=127.0.0.1;proto=https");
    let browser = lines(&[
        ("host", "shop.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("connection", "keep-alive"),
        ("cookie", "session=0123456789abcdef0123456789abcdef"),
        ("upgrade-insecure-requests", "1"),
    ]);
    assert!(browser.contains_key(HOST));
    group.bench_function("to upstream", |bencher| {
        let forwarding = || Forwarding {
            trust: Trust::Untrusted,
            client: Some(ClientAddr::new(address)),
            header: &header,
            peer: Some(&peer),
            forwarded: Some(&forwarded),
            proto: "https",
        };
        let rewrite = |mut headers: HeaderMap| {
            let _ = to_upstream(&mut headers, forwarding(), || id.clone());
            headers
        };
        bencher.iter_batched(|| browser.clone(), rewrite, BatchSize::SmallInput);
    });
    let answer = lines(&[
        ("server", "Apache/2.4"),
        ("date", "Fri, 27 Nov 2026 11:00:00 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "1024"),
        ("connection", "keep-alive"),
        ("set-cookie", "session=0123456789abcdef0123456789abcdef; HttpOnly"),
    ]);
    group.bench_function("to client", |bencher| {
        let rewrite = |mut headers: HeaderMap| {
            to_client(&mut headers);
            headers
        };
        bencher.iter_batched(|| answer.clone(), rewrite, BatchSize::SmallInput);
    });
    group.finish();
}

fn lines(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    lines.iter().map(line).collect()
}
