//! What other readers find in a request, the guard finds too: PHP's, a servlet container's and
//! Express's, each written from its documentation and not from ours.

use std::fmt::Write as _;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::usual;
use crate::policy::account::{Account, Charset, Naming, accounts};
use crate::policy::credentials::{Carries, Request, read};

/// A request, as far as it is about fields.
#[derive(Clone, Debug)]
struct Sent {
    query: Option<String>,
    media: Option<String>,
    body: Vec<u8>,
}

/// A username and a password, as an application gets them.
type Login = (Vec<u8>, Vec<u8>);

fn plus_decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).collect()
}

/// Names and values, split by `&` and decoded.
fn pairs(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (plus_decoded(&pair[..at]), plus_decoded(pair.get(at + 1..).unwrap_or_default()))
    };
    text.split(|byte| *byte == b'&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn media_of(sent: &Sent) -> String {
    let media = sent.media.as_deref().unwrap_or_default();
    media.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parts of a multipart form that have a name and no file name.
fn parts(sent: &Sent) -> Vec<(Vec<u8>, Vec<u8>)> {
    let media = sent.media.as_deref().unwrap_or_default();
    let Some((_, boundary)) = media.split_once("boundary=") else { return Vec::new() };
    let boundary = boundary.split([';', ',']).next().unwrap_or_default().trim_matches('"');
    let text = String::from_utf8_lossy(&sent.body);
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    for part in text.split(&delimiter).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
        let Some((_, name)) = head.split_once("name=") else { continue };
        let name = match name.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => name.split([';', '\r']).next(),
        };
        let name = name.unwrap_or_default().to_owned();
        if !head.to_ascii_lowercase().contains("filename") {
            let value = value.strip_suffix("\r\n").unwrap_or(value);
            found.push((name.into_bytes(), value.as_bytes().to_vec()));
        }
    }
    found
}

/// The variable that PHP makes of a name: `username[]` and `username[x]` are in `username`.
fn php_name(name: &[u8]) -> Vec<u8> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let blank = name.iter().take_while(|byte| **byte == b' ').count();
    let name = &name[blank..];
    let end = name.iter().skip(1).position(|byte| *byte == b'[').map_or(name.len(), |at| at + 1);
    let array = name[end..].contains(&b']');
    let mut variable = name[..end].to_vec();
    if !array && end < name.len() {
        variable.push(b'_');
        variable.extend_from_slice(&name[end + 1..]);
    }
    variable.iter().map(|b| if matches!(b, b'.' | b' ') { b'_' } else { *b }).collect()
}

/// `$_REQUEST['username']` and `$_REQUEST['password']`: the last wins, the body over the query.
fn php(sent: &Sent) -> Option<Login> {
    let mut fields = sent.query.as_deref().map_or_else(Vec::new, |query| pairs(query.as_bytes()));
    match &*media_of(sent) {
        "application/x-www-form-urlencoded" => fields.extend(pairs(&sent.body)),
        "multipart/form-data" => fields.extend(parts(sent)),
        _ => {}
    }
    let last = |wanted: &[u8]| {
        let found = fields.iter().rev().find(|(name, _)| php_name(name) == wanted);
        found.map(|(_, value)| value.clone())
    };
    Some((last(b"username")?, last(b"password")?))
}

/// `getParameter`: the first wins, the query before the body; names are compared letter by letter.
fn servlet(sent: &Sent) -> Option<Login> {
    let mut fields = sent.query.as_deref().map_or_else(Vec::new, |query| pairs(query.as_bytes()));
    if media_of(sent) == "application/x-www-form-urlencoded" {
        fields.extend(pairs(&sent.body));
    }
    let first = |wanted: &[u8]| {
        let found = fields.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    Some((first(b"username")?, first(b"password")?))
}

/// `String(req.body.username)`, of a form read by qs or of JSON.
fn express(sent: &Sent) -> Option<Login> {
    if media_of(sent) == "application/json" {
        let text = String::from_utf8_lossy(&sent.body);
        let Ok(Json::Object(body)) = serde_json::from_str(&text) else { return None };
        let as_string = |value: &Json| match value {
            Json::String(text) => Some(text.clone()),
            Json::Array(values) => match values.as_slice() {
                [Json::String(text)] => Some(text.clone()),
                _ => None,
            },
            Json::Number(number) => Some(number.to_string()),
            Json::Null | Json::Bool(_) | Json::Object(_) => None,
        };
        let field = |name: &str| body.get(name).and_then(as_string).map(String::into_bytes);
        return Some((field("username")?, field("password")?));
    }
    if media_of(sent) != "application/x-www-form-urlencoded" {
        return None;
    }
    let fields = pairs(&sent.body);
    let only = |wanted: &str| {
        let index = format!("{wanted}[");
        let of = |name: &[u8]| name == wanted.as_bytes() || name.starts_with(index.as_bytes());
        let mut found = fields.iter().filter(|(name, _)| of(name));
        let value = found.next()?.1.clone();
        found.next().is_none().then_some(value) // of several qs makes an array, which is no name
    };
    Some((only("username")?, only("password")?))
}

/// Whether the guard charges what a reader found, or refuses the request.
fn covers(sent: &Sent, (username, _): &Login) -> bool {
    let mut headers = HeaderMap::new();
    if let Some(media) = &sent.media {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media).expect("a header value"));
    }
    let query = sent.query.as_deref();
    let request = Request { names: &[], query, headers: &headers, body: Some(&sent.body) };
    let Ok(found) = read(&usual(), &request) else { return true };
    let meant = accounts(username, Charset::Utf8, &Naming::default());
    let known =
        |account: &Account| found.usernames.iter().any(|username| username.account == *account);
    found.carries == Carries::Password && (meant.is_empty() || meant.iter().any(known))
}

fn name() -> impl Strategy<Value = String> {
    const USERNAME: &[&str] = &[
        "username",
        "%75sername",
        "user%6Eame",
        "+username",
        "username[]",
        "username[0]",
        "username[x]",
        "username%00x",
        "%20username",
        "username%5B%5D",
        "username[",
        "Username",
        "user.name",
        "username+",
    ];
    const PASSWORD: &[&str] = &[
        "password",
        "%70assword",
        "password[]",
        "+password",
        "password%00",
        "pass%77ord",
        "PASSWORD",
        "password[x]",
    ];
    prop_oneof![
        4 => proptest::sample::select(USERNAME).prop_map(str::to_owned),
        4 => proptest::sample::select(PASSWORD).prop_map(str::to_owned),
        1 => "[a-z\\[\\]%&.]{0,6}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9+._@-]{0,8}",
        "([a-c]|%[0-9a-f]{2}|%c3%a9|%EF%BC%A1|%00|%5c|\\+){0,6}",
        "[a-c=%;,]{0,6}",
    ]
}

fn form() -> impl Strategy<Value = String> {
    let pair = (name(), value(), proptest::bool::weighted(0.9));
    let text = |(name, value, has_value): (String, String, bool)| {
        if has_value { format!("{name}={value}") } else { name }
    };
    let separator = prop_oneof![9 => Just("&"), 1 => Just(";"), 1 => Just("&&")];
    (prop::collection::vec(pair.prop_map(text), 0..6), separator)
        .prop_map(|(pairs, separator)| pairs.join(separator))
}

fn multipart() -> impl Strategy<Value = String> {
    let head = prop_oneof![
        Just("Content-Disposition: form-data; name=\"{}\""),
        Just("content-disposition: form-data; name={}"),
        Just("Content-Disposition: form-data; name=\"{}\"; filename=\"f\""),
        Just("Content-Disposition: form-data; name=\"{}\"\r\nContent-Type: text/plain"),
    ];
    let names = proptest::sample::select(&["username", "password", "username[]", "other"][..]);
    prop::collection::vec((head, names, "[a-zA-Z .]{0,6}"), 0..6).prop_map(|parts| {
        let mut body = String::new();
        for (head, name, value) in parts {
            let head = head.replace("{}", name);
            write!(body, "--B\r\n{head}\r\n\r\n{value}\r\n").expect("into a string");
        }
        body + "--B--\r\n"
    })
}

fn json() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(
        &["username", "password", "\\u0075sername", "pass\\u0077ord", "other", "Username"][..],
    );
    let value = prop_oneof![
        "[a-zA-Z0-9 ]{0,6}".prop_map(|text| format!("\"{text}\"")),
        "[a-z]{0,4}".prop_map(|text| format!("[\"{text}\"]")),
        "[1-9][0-9]{0,3}",
        Just("{\"username\": \"inner\"}".to_owned()),
        Just("\"\\u00e9\\u212a\"".to_owned()),
        Just("null".to_owned()),
    ];
    prop::collection::vec((key, value), 0..6).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(key, value)| format!("\"{key}\": {value}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let form_types = proptest::sample::select(
        &[
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            "application/x-www-form-urlencoded, text/plain",
            "application/json",
            "text/plain",
        ][..],
    );
    let body = prop_oneof![
        4 => (form(), form_types.prop_map(str::to_owned)),
        2 => (multipart(), Just("multipart/form-data; boundary=B".to_owned())),
        2 => (json(), Just("application/json".to_owned())),
    ];
    (proptest::option::of(form()), body).prop_map(|(query, (body, media))| Sent {
        query,
        media: Some(media),
        body: body.into_bytes(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_php_finds_the_guard_charges(sent in sent()) {
        if let Some(login) = php(&sent) {
            prop_assert!(covers(&sent, &login), "{login:?}");
        }
    }

    #[test]
    fn what_a_servlet_finds_the_guard_charges(sent in sent()) {
        if let Some(login) = servlet(&sent) {
            prop_assert!(covers(&sent, &login), "{login:?}");
        }
    }

    #[test]
    fn what_express_finds_the_guard_charges(sent in sent()) {
        if let Some(login) = express(&sent) {
            prop_assert!(covers(&sent, &login), "{login:?}");
        }
    }
}

#[test]
fn the_readers_find_what_they_should() {
    let form = |query: Option<&str>, body: &str| Sent {
        query: query.map(str::to_owned),
        media: Some("application/x-www-form-urlencoded".to_owned()),
        body: body.into(),
    };
    let user =
        |login: Option<Login>| login.map(|(name, _)| String::from_utf8_lossy(&name).into_owned());
    let doubled = form(Some("username=q"), "username=a&username=b&password=x");
    assert_eq!(user(php(&doubled)).as_deref(), Some("b"));
    assert_eq!(user(servlet(&doubled)).as_deref(), Some("q"));
    assert_eq!(user(express(&doubled)), None);
    let mangled = form(None, "+user.name=x&username%00y=c&password[]=x");
    assert_eq!(user(php(&mangled)).as_deref(), Some("c"));
    let parts = "--B\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\na\r\n--B\r\nContent-Disposition: form-data; name=password\r\n\r\nx\r\n--B--\r\n";
    let parts = Sent {
        query: None,
        media: Some("multipart/form-data; boundary=B".to_owned()),
        body: parts.into(),
    };
    assert_eq!(user(php(&parts)).as_deref(), Some("a"));
    let json = Sent {
        query: None,
        media: Some("application/json".to_owned()),
        body: br#"{"\u0075sername":["a"],"password":1}"#.to_vec(),
    };
    assert_eq!(user(express(&json)).as_deref(), Some("a"));
}
