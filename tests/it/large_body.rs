//! Paths that take logins and other things too: large bodies stream, and no login field passes
//! with one that was not looked at.

use std::sync::mpsc;

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream, wait};

/// One script serves the whole application.
const SITES: &str = r#"
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /index.php
        attempts: with_credentials
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=edge";

fn part(name: &str, value: &str) -> String {
    format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

#[test]
fn what_carries_no_credentials_streams_whatever_its_size() {
    let upstream = Upstream::answering(|request| ok(&request.text()));
    let guard = Guard::start(SITES, &upstream);
    let large = "x".repeat(300_000);
    for (kind, body) in [
        (FORM, format!("comment={large}&user=bob")),
        (FORM, "comment=short".to_owned()),
        (
            MULTIPART,
            part("upload", &large) + &part("comment", "the password is =") + "--edge--\r\n",
        ),
        ("application/octet-stream", large.clone()),
        ("application/json", format!("{{\"comment\": \"{large}\"}}")),
    ] {
        let answer = guard.ask(&Ask::new("POST", "/index.php").body(kind, &body));
        assert_eq!((answer.status, answer.text() == body), (200, true), "{kind}");
    }
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 0);
}

#[test]
fn a_large_upload_arrives_while_the_client_is_still_sending() {
    let (tell, told) = mpsc::channel();
    let upstream = Upstream::scripted(move |talk| {
        talk.request_head();
        let first = talk.wire.exactly(60_000).unwrap();
        tell.send(first.len()).unwrap();
        talk.wire.exactly(140_000).unwrap();
        talk.send(ok("all of it"));
    });
    let guard = Guard::start(SITES, &upstream);
    let mut client = guard.client();
    client.send(
        "POST /index.php HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: 200000\r\n\r\n",
    );
    client.send("x".repeat(100_000));
    assert_eq!(told.recv_timeout(wait::PATIENCE).unwrap(), 60_000);
    assert_eq!(client.send("x".repeat(100_000)).answer().text(), "all of it");
}

#[test]
fn small_bodies_with_credentials_are_attempts() {
    let upstream = Upstream::hello();
    let guard = Guard::start(SITES, &upstream);
    let login = Ask::form("/index.php?action=login", "user=bob&password=wrong");
    assert_eq!([(); 3].map(|()| guard.ask(&login).status), [200, 403, 403]);
    assert_eq!(guard.ask(&Ask::form("/index.php", "comment=x")).status, 200);
    assert_eq!(upstream.hits(), 3);
}

/// A body in which a login field turns up after `before` bytes never gets it to the upstream.
#[track_caller]
fn check_late(kind: &str, start: &str, field: &str) {
    let upstream = Upstream::scripted(|talk| drop(talk.request()));
    let guard = Guard::start(SITES, &upstream);
    for large in [70_000, 500_000] {
        let body = format!("{start}{}{field}{}", "x".repeat(large), "y".repeat(large));
        let answer = {
            let mut client = guard.client();
            client.send(Ask::new("POST", "/index.php").body(kind, &body).bytes());
            client.answer_head()
        };
        let status = answer.map(|answer| answer.status);
        assert!(matches!(status, None | Some(413)), "{kind}: {status:?}");
    }
    upstream.wait_for_closed(upstream.connections());
    for request in upstream.requests() {
        assert!(request.body.cut, "it is broken off");
        let text = request.text();
        assert!(!text.contains("password") && !text.contains("s3cret"), "{field}");
    }
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
}

#[test]
fn a_late_login_field_breaks_its_body_off() {
    check_late(FORM, "comment=", "&user=bob&password=s3cret&more=");
    check_late(FORM, "comment=", "&%70assword=s3cret&more=");
    check_late(
        MULTIPART,
        "--edge\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n",
        &late_part(),
    );
    check_late("application/json", "{\"comment\": \"", "\", \"password\": \"s3cret\", \"z\": \"");
    check_late("text/plain", "comment=", "\r\npassword=s3cret\r\nmore=");
}

fn late_part() -> String {
    format!(
        "\r\n{}--edge\r\nContent-Disposition: form-data; name=\"z\"\r\n\r\n",
        part("password", "s3cret")
    )
}

#[test]
fn what_cannot_be_looked_through_does_not_pass() {
    let upstream = Upstream::hello();
    let guard = Guard::start(SITES, &upstream);
    let large = "x".repeat(100_000);
    let coded = Ask::new("POST", "/index.php").body(FORM, &large).with("Content-Encoding", "gzip");
    assert_eq!(guard.ask(&coded).verdict(), (415, "refused"));
    let kind = "application/x-www-form-urlencoded; charset=utf-16";
    assert_eq!(guard.ask(&Ask::new("POST", "/index.php").body(kind, &large)).status, 415);
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn elsewhere_nobody_looks_at_bodies() {
    let upstream = Upstream::answering(|request| ok(&request.text()));
    let guard = Guard::start(SITES, &upstream);
    let body = format!("{}&password=s3cret", "x".repeat(200_000));
    let answer = guard.ask(&Ask::form("/upload", &body).with("Content-Encoding", "zstd"));
    assert!(answer.text() == body);
}
