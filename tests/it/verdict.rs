//! What the outcome is read from goes downstream as it came.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::support::{Ask, Guard, Upstream};

/// Two failures lock; a success is told by a text in the body.
const SITES: &str = r#"
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: [{ success: { status: 200, body: welcome, header: { x-app: "*" } } }]
"#;

/// A page that says at its end, behind `padding` letters, whether the login succeeded.
fn page(password_is_right: bool, padding: usize) -> Vec<u8> {
    let said = if password_is_right { "welcome" } else { "wrong" };
    format!("<p>{}{said}</p>", "x".repeat(padding)).into_bytes()
}

fn encoded(coding: &str, page: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(page).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(page).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(page).unwrap();
            encoder.finish().unwrap()
        }
        _ => page.to_vec(),
    }
}

/// An upstream that answers with `coding`, however its clients want it.
fn coded(coding: &'static str, padding: usize) -> Upstream {
    Upstream::answering(move |request| {
        let body = encoded(coding, &page(request.text().ends_with("right"), padding));
        let field = match coding {
            "zlib" | "raw" => "Content-Encoding: deflate\r\n",
            "gzip" => "Content-Encoding: gzip\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-App: 1\r\nETag: \"x\"\r\n{field}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    })
}

#[test]
fn a_coded_body_is_understood_and_passed_on_unchanged() {
    for coding in ["identity", "gzip", "zlib", "raw"] {
        let upstream = coded(coding, 5000);
        let guard = Guard::start(SITES, &upstream);
        for _ in 0..3 {
            let answer = guard.client().log_in("bob", "right");
            assert_eq!(answer.status, 200);
            assert!(answer.body.bytes == encoded(coding, &page(true, 5000)), "{coding}");
            assert_eq!(answer.get("etag"), Some("\"x\""));
        }
        guard.wait_for_event("login_succeeded");
        let wrong = guard.client().log_in("bob", "wrong");
        assert!(wrong.body.bytes == encoded(coding, &page(false, 5000)), "{coding}");
        assert_eq!(guard.client().log_in("bob", "wrong").verdict(), (403, "locked"), "{coding}");
    }
}

#[test]
fn a_small_body_that_unpacks_to_a_huge_one_is_a_failure_and_no_burden() {
    let upstream = coded("gzip", 32 * 1024 * 1024);
    let guard = Guard::start(SITES, &upstream);
    let before = guard.memory();
    let answer = guard.client().log_in("bob", "right");
    assert!(answer.status == 200 && answer.body.bytes.len() < 100_000);
    assert!(guard.memory() < before + 8 * 1024 * 1024, "{before} became {}", guard.memory());
    guard.wait_for_event("login_failed");
}

#[test]
fn the_answer_to_an_attempt_keeps_its_framing_and_trailers() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nX-App: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nwel\r\n4\r\ncome\r\n0\r\nX-Sum: 42\r\n\r\n"
    });
    let guard = Guard::start(SITES, &upstream);
    let answer = guard.ask(&Ask::login("bob", "x").with("TE", "trailers"));
    assert_eq!((answer.text().as_str(), answer.body.cut), ("welcome", false));
    assert_eq!(answer.get("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.body.trailers.get("x-sum"), Some("42"));
    guard.wait_for_event("login_succeeded");
}
