//! Which cookies an answer sets and which it deletes (RFC 6265, section 5.2).

use std::time::Duration;

use http::header::{HeaderMap, SET_COOKIE};

use crate::policy::glob::{Case, Glob};

/// What an answer does with a cookie in the end: the last `Set-Cookie` of a name decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value, without quotes; `None` where it is deleted.
    pub value: Option<&'a [u8]>,
}

/// The cookies that `headers` set or delete, each name once. `now` is wall-clock time since 1970.
#[must_use]
pub fn set_cookies(headers: &HeaderMap, now: Duration) -> Vec<SetCookie<'_>> {
    let mut cookies: Vec<SetCookie<'_>> = Vec::new();
    for line in headers.get_all(SET_COOKIE) {
        let Some(cookie) = parse(line.as_bytes(), now) else { continue };
        match cookies.iter_mut().find(|known| known.name == cookie.name) {
            Some(known) => *known = cookie,
            None => cookies.push(cookie),
        }
    }
    cookies
}

fn name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(at)?;
    Some((name.trim_ascii(), unquoted(value.get(1..)?.trim_ascii())))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn parse(line: &[u8], now: Duration) -> Option<SetCookie<'_>> {
    let mut parts = line.split(|byte| *byte == b';');
    let (name, value) = name_and_value(parts.next()?)?;
    let (mut max_age, mut expires) = (None, None);
    for (attribute, value) in parts.filter_map(name_and_value) {
        if attribute.eq_ignore_ascii_case(b"max-age") {
            max_age = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i128>().ok());
        } else if attribute.eq_ignore_ascii_case(b"expires") {
            expires = parse_date(value);
        }
    }
    let over = match (max_age, expires) {
        (Some(seconds), _) => seconds <= 0,
        (None, Some(expires)) => expires <= now.as_secs(),
        (None, None) => false,
    };
    let emptied = value.is_empty() || value == b"deleted" || value == b"-del-";
    Some(SetCookie { name, value: (!over && !emptied).then_some(value) })
}

/// RFC 6265, section 5.1.1, but for two-digit years before 1970: seconds since 1970.
fn parse_date(value: &[u8]) -> Option<u64> {
    const MONTHS: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let is_delimiter = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b':';
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in value.split(is_delimiter).filter(|token| !token.is_empty()) {
        let number = || std::str::from_utf8(token).ok()?.parse::<u64>().ok();
        if time.is_none() && token.contains(&b':') {
            time = parse_time(token);
        } else if day.is_none() && token.len() <= 2 && number().is_some() {
            day = number();
        } else if month.is_none() && token.len() >= 3 && number().is_none() {
            let start = token.get(..3)?.to_ascii_lowercase();
            month = (1u64..).zip(MONTHS).find(|(_, name)| *name == start).map(|(at, _)| at);
        } else if year.is_none() {
            year = number().map(|year| match year {
                0..70 => year + 2000,
                70..100 => year + 1900,
                _ => year,
            });
        }
    }
    Some(days_since_1970(year?, month?, day?)? * 86_400 + time?)
}

fn parse_time(token: &[u8]) -> Option<u64> {
    let mut fields = std::str::from_utf8(token).ok()?.split(':').map(|field| field.parse::<u64>());
    let (hours, minutes, seconds) =
        (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    (hours < 24 && minutes < 60 && seconds < 61).then_some((hours * 60 + minutes) * 60 + seconds)
}

/// Days of the Gregorian calendar; a date before 1970 is day 0, which is past all the same.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1601..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // years begin in March, so that the leap day is the last
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(days.saturating_sub(719_469))
}

/// A pattern for a cookie's name.
#[must_use]
pub fn name_pattern(written: &str) -> Glob {
    Glob::new(written, Case::Keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_000_000); // November 2026

    fn seen(lines: &[&str]) -> Vec<(String, Option<String>)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, line.parse().expect("a header value"));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let cookies = set_cookies(&headers, NOW);
        cookies.iter().map(|cookie| (text(cookie.name), cookie.value.map(text))).collect()
    }

    #[track_caller]
    fn check(line: &str, value: Option<&str>) {
        assert_eq!(seen(&[line]), [("sid".to_owned(), value.map(str::to_owned))], "{line}");
    }

    #[test]
    fn deletions_are_told_from_settings() {
        check("sid=abc; Path=/; HttpOnly", Some("abc"));
        check("  sid = abc", Some("abc"));
        check("sid=", None);
        check("sid=\"\"; Path=/", None);
        check("sid=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0", None);
        check("sid=-del-", None);
        check("sid=abc; Max-Age=-1", None);
        check("sid=abc; Max-Age=3600; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some("abc"));
        check("sid=abc; Expires=Thu, 26 Nov 2026 00:00:00 GMT", Some("abc"));
        check("sid=abc; expires=Sunday, 06-Nov-94 08:49:37 GMT", None);
        check("sid=abc; expires=Sun Nov  6 08:49:37 1994", None);
        check("sid=abc; expires=nonsense", Some("abc"));
        check("sid=abc; expires=Mon, 01-Jan-2035 00:00:00 GMT", Some("abc"));
    }

    #[test]
    fn the_last_of_a_name_decides() {
        let once = |value: Option<&str>| [("sid".to_owned(), value.map(str::to_owned))];
        assert_eq!(seen(&["sid=-del-", "sid=new"]), once(Some("new")));
        assert_eq!(seen(&["sid=old", "sid=; Max-Age=0"]), once(None));
    }
}
