//! Bodies in which an upstream might see another request.
//!
//! An upstream that does not read a body, or not all of it, takes the rest for the next request
//! on the connection: a guess that no guard has judged. So the connection ends with such a body.

use http::Method;
use memchr::memchr;

/// Whether nobody expects a body with this method (RFC 9110, section 9.3), so that some upstreams
/// do not even look whether there is one.
#[must_use]
pub fn is_bodiless(method: &Method) -> bool {
    ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
        .iter()
        .any(|bodiless| method.as_str().eq_ignore_ascii_case(bodiless))
}

/// Whether something in `body` looks like the first line of a request, of HTTP/0.9 too. Takes
/// time linear in the body.
#[must_use]
pub fn hides_request(body: &[u8]) -> bool {
    if memchr(b'/', body).is_none() {
        return false; // most forms
    }
    names_protocol(body) || body.split(|byte| matches!(byte, b'\r' | b'\n')).any(begins_request)
}

/// What some server takes for a blank between words; for Python's even signs beyond ASCII are.
const fn is_blank(byte: &u8) -> bool {
    *byte <= b' ' || *byte >= 0x7f
}

/// ` HTTP/1`, wherever the upstream may begin to read.
fn names_protocol(mut body: &[u8]) -> bool {
    while let Some(slash) = memchr(b'/', body) {
        let (before, after) = body.split_at_checked(slash).unwrap_or_default();
        let name = before.len().checked_sub(5).and_then(|begin| before.get(begin..));
        let names = name.is_some_and(|name| {
            name.first().is_some_and(is_blank)
                && name.get(1..).is_some_and(|name| name.eq_ignore_ascii_case(b"http"))
        });
        if names && after.get(1).is_some_and(u8::is_ascii_digit) {
            return true;
        }
        body = after.get(1..).unwrap_or_default();
    }
    false
}

/// `GET /` or `GET http:`, as far as a method may be long.
fn begins_request(line: &[u8]) -> bool {
    const LONGEST: usize = 32;
    let line = line.trim_ascii_start();
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let method = line.iter().take(LONGEST).take_while(|byte| is_letter(byte)).count();
    let rest = line.get(method..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| is_blank(byte)).count();
    let target = rest.get(blank..).unwrap_or_default();
    let is_target = target.first() == Some(&b'/')
        || target.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    method > 0 && target.len() < rest.len() && is_target
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_in_a_body_is_seen() {
        for body in [
            "POST /login HTTP/1.1\r\nHost: a\r\n\r\n",
            "x=y\r\n\r\nPOST /login HTTP/1.1\r\n",
            "xPOST /login?a=b HTTP/1.0",
            "xPOST login\tHTTP/1.1",
            "0\r\n\r\nget http://a/login",
            "\n\n  GET /login?username=a&password=b\n",
            "GET\t/login",
            "GET / http/1.1",
            "POST\u{a0}/login?a=b\u{a0}HTTP/1.1",
            "POST\u{1c}/login",
        ] {
            assert!(hides_request(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn ordinary_bodies_hide_none() {
        for body in [
            "",
            "username=alice&password=a%2Fb",
            "next=/app&x=http://a/",
            r#"{"path": "/login", "text": "and/or"}"#,
            "<a href=\"http://www.w3.org/1999/xhtml\">x</a>",
            "/absolute/path",
            "text/html",
            "http/1.1",
        ] {
            assert!(!hides_request(body.as_bytes()), "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_request_is_seen_wherever_it_stands(
            before in prop::collection::vec(any::<u8>(), 0..60),
            method in "[A-Za-z]{1,10}",
            target in "[!-~]{0,30}",
            version in "HTTP/[0-9]\\.[0-9]",
        ) {
            let body = [&before, method.as_bytes(), b" ", target.as_bytes(), b" ", version.as_bytes()];
            prop_assert!(hides_request(&body.concat()));
        }
    }
}
