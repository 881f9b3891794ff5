//! What most applications' answers mean, for whoever has not said what his own mean.

use http::StatusCode;
use serde_json::Value;

use super::cookies::set_cookies;
use super::location::Location;
use super::{Format, Head, Judgement, Outcome, location_of, unmatched};

pub(super) fn wants_json(head: Head<'_>) -> bool {
    head.asked.format == Format::Json && head.status.is_success()
}

pub(super) fn infer_from_form(head: Head<'_>) -> Judgement {
    const TELLING: [&str; 9] =
        ["login", "signin", "auth", "error", "fail", "denied", "lock", "2fa", "otp"];
    let redirects = matches!(head.status, StatusCode::FOUND | StatusCode::SEE_OTHER);
    let elsewhere = |location: Location| {
        let Some(path) = location.path() else { return false };
        let folded = path.to_ascii_lowercase();
        let referer = head
            .asked
            .referer
            .map(|value| Location::resolve(value, head.asked.host, head.asked.path).on_same_host);
        !TELLING.iter().any(|word| folded.contains(word))
            && folded.trim_end_matches('/')
                != head.asked.path.to_ascii_lowercase().trim_end_matches('/')
            && referer.is_none_or(|referer| referer != location.on_same_host)
    };
    let sets_cookie = || set_cookies(head.headers, head.now).iter().any(|c| c.value.is_some());
    let known = head.asked.path_as_written;
    if redirects && known && location_of(head).is_some_and(elsewhere) && sets_cookie() {
        Judgement::by_rule(Outcome::Success)
    } else {
        unmatched(head.status)
    }
}

pub(super) fn infer_from_json(head: Head<'_>, body: &[u8]) -> Judgement {
    if !wants_json(head) {
        return unmatched(head.status);
    }
    let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let sets_cookie = set_cookies(head.headers, head.now).iter().any(|c| c.value.is_some());
    let has_token = has_member(&json, &|name| name.to_ascii_lowercase().contains("token"));
    let has_error = has_member(&json, &|name| matches!(name, "error" | "errors"));
    if (sets_cookie || has_token) && !has_error {
        Judgement::by_rule(Outcome::Success)
    } else {
        unmatched(head.status)
    }
}

/// Whether a member whose name fits stands anywhere in `json`, which the parser keeps shallow.
fn has_member(json: &Value, fits: &dyn Fn(&str) -> bool) -> bool {
    match json {
        Value::Array(items) => items.iter().any(|item| has_member(item, fits)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| fits(name) || has_member(value, fits))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}
