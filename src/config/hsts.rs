//! What browsers are told to remember: that a site is to be asked with TLS (RFC 6797).

use std::time::Duration;

use http::HeaderValue;

use super::fields::Fields;
use super::keys;
use super::node::Node;
use super::reader::Reader;
use super::scalar::{duration_from, flag};

/// The lists that browsers come with take nothing shorter.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// The value of `Strict-Transport-Security`.
pub(super) fn hsts(node: &Node, reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let fields = Fields::of(node, &keys::HSTS, reader);
    if fields.lacks("max_age") {
        reader.error(node, "needs `max_age`", "such as { max_age: 365d }");
    }
    let max_age =
        |node: &Node, reader: &mut Reader<'_>| duration_from(node, Duration::ZERO, reader);
    let max_age = fields.read("max_age", max_age, reader);
    let is_set = |key, reader: &mut Reader<'_>| fields.read(key, flag, reader) == Some(true);
    let (below, preload) = (is_set("include_subdomains", reader), is_set("preload", reader));
    let max_age = max_age?;
    if preload && (!below || max_age < YEAR) {
        let wrong = "`preload` is for sites with `include_subdomains` and a `max_age` of a year";
        reader.warn(node, wrong, "set these, or remove `preload`");
    }
    let mut value = format!("max-age={}", max_age.as_secs());
    if below {
        value.push_str("; includeSubDomains");
    }
    if preload {
        value.push_str("; preload");
    }
    HeaderValue::try_from(value).ok()
}
