//! The methods that an upstream may take a request for.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

/// Fields by which frameworks let a client override the method: Rack, Symfony, ASP.NET Web API and
/// Express read one or the other.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Whether a header or the query (`_method=`) asks for a method that `is_wanted`. The request's
/// own method stays one that it may be taken for.
#[must_use]
pub fn is_overridden_by(
    headers: &HeaderMap,
    query: Option<&str>,
    is_wanted: impl Fn(&str) -> bool,
) -> bool {
    let overrides = |name: &HeaderName| match name.as_str() {
        name if name.contains('_') => OVERRIDES.contains(&&*name.replace('_', "-")),
        name => OVERRIDES.contains(&name),
    };
    let lines = headers.iter().filter(|(name, _)| overrides(name));
    let by_header = lines.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()));
    let pairs = query.unwrap_or_default().split(['&', ';']);
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let of_query = pairs.filter(|(name, _)| decode(name).trim().eq_ignore_ascii_case("_method"));
    let by_query = of_query.map(|(_, value)| decode(value));
    let is_wanted = |method: Cow<'_, str>| is_wanted(method.trim());
    by_header.chain(by_query).any(is_wanted)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(header: Option<(&'static str, &'static str)>, query: &str, expected: bool) {
        let field =
            |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers: HeaderMap = header.into_iter().map(field).collect();
        let is_post = |method: &str| method.eq_ignore_ascii_case("POST");
        assert_eq!(
            is_overridden_by(&headers, Some(query), is_post),
            expected,
            "{header:?} {query}"
        );
    }

    #[test]
    fn headers_and_query_override_a_method() {
        check(None, "", false);
        check(Some(("x-http-method-override", "POST")), "", true);
        check(Some(("x_http_method", " post ")), "", true);
        check(Some(("x-method-override", "PUT")), "", false);
        check(Some(("x-method", "POST")), "", false);
        check(None, "a=b&_method=post", true);
        check(None, "a=b;%5Fmethod=%50OST", true);
        check(None, "method=POST", false);
        check(None, "_method", false);
    }
}
