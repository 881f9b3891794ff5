//! How a client speaks, by what a trusted proxy says of it.

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::client::split_outside_quotes;
use crate::link::Scheme;

/// How the client speaks whose request has `headers`, of which proxies name the client in `header`;
/// `None` where they do not say. Of several hops, the one that is nearest to the client.
#[must_use]
pub fn spoken(header: &HeaderName, headers: &HeaderMap) -> Option<Scheme> {
    if let Some(value) = headers.get("x-forwarded-proto") {
        return named(value.as_bytes().split(|byte| *byte == b',').next()?);
    }
    let value = headers.get(FORWARDED).filter(|_| *header == FORWARDED)?;
    proto(value).and_then(named)
}

/// `proto=` of the first element that has one (RFC 7239, section 5.4).
fn proto(value: &HeaderValue) -> Option<&[u8]> {
    let elements = split_outside_quotes(value.as_bytes(), b',').into_iter();
    let pairs = elements.flat_map(|element| split_outside_quotes(element, b';'));
    let mut protos = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        let value = value.get(1..)?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        name.trim_ascii().eq_ignore_ascii_case(b"proto").then_some(value)
    });
    protos.next()
}

fn named(word: &[u8]) -> Option<Scheme> {
    match word.trim_ascii().to_ascii_lowercase().as_slice() {
        b"https" | b"wss" => Some(Scheme::Https),
        b"http" | b"ws" => Some(Scheme::Http),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        header: &'static str,
        fields: &[(&'static str, &'static str)],
        expected: Option<Scheme>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(spoken(&HeaderName::from_static(header), &headers), expected, "{fields:?}");
    }

    #[test]
    fn the_hop_nearest_to_the_client_says_it() {
        let (http, https) = (Some(Scheme::Http), Some(Scheme::Https));
        let own = "x-forwarded-for";
        check(own, &[], None);
        check(own, &[("x-forwarded-proto", "https")], https);
        check(own, &[("x-forwarded-proto", "HTTP")], http);
        check(own, &[("x-forwarded-proto", "https, http")], https);
        check(own, &[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")], http);
        check(own, &[("x-forwarded-proto", "wss")], https);
        check(own, &[("x-forwarded-proto", "")], None);
        check(own, &[("forwarded", "for=1.1.1.1;proto=https")], None);
        let quoted = "for=1.1.1.1;Proto=\"https\", for=2.2.2.2;proto=http";
        check("forwarded", &[("forwarded", quoted)], https);
        let other = "for=\"proto=https\", for=2.2.2.2;proto=http";
        check("forwarded", &[("forwarded", other)], http);
        check("forwarded", &[("forwarded", "for=1.1.1.1")], None);
        let both = [("forwarded", "for=1.1.1.1;proto=https"), ("x-forwarded-proto", "http")];
        check("forwarded", &both, http);
    }
}
