//! What requests offer, as tables: forms, headers, sources, conditions.

mod differential;
mod formats;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compression, GzBuilder};
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE};
use proptest::prelude::*;

use self::formats::part;
use super::*;
use crate::clock::Clock;
use crate::policy::account::Naming;
use crate::policy::glob::{Case, Glob};
use crate::policy::outcome::OutcomeRules;
use crate::policy::route::{
    AtLimit, CounterScope, Identify, Lockout, Mode, NeverLock, ResetOnSuccess, ResponseSettings,
    WhileLocked,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PARTS: &str = "multipart/form-data; boundary=B";

/// A login rule with these sources.
pub(super) fn rule(usernames: Vec<Source>, passwords: Vec<Source>) -> LoginRule {
    let response = ResponseSettings {
        status: 403,
        html: None,
        json: None,
        redirect: None,
        contact: None,
        cors_origins: Vec::new(),
        identify: Identify::Headers,
    };
    let lockout = Lockout {
        limits: Vec::new(),
        mode: Mode::Enforce,
        at_limit: AtLimit::Lockout,
        reset_on_success: ResetOnSuccess::None,
        while_locked: WhileLocked::Ignore,
        never_lock: NeverLock::default(),
        wait: Duration::ZERO,
        response: Arc::new(response),
    };
    LoginRule {
        name: Arc::from("login"),
        paths: Vec::new(),
        methods: Vec::new(),
        when: When::default(),
        usernames,
        naming: Naming::default(),
        passwords,
        session_cookie: None,
        outcome: OutcomeRules::Basic,
        max_body: 64 * 1024,
        access: None,
        lockout: Arc::new(lockout),
        counters: CounterScope::Site,
    }
}

pub(super) fn field(name: &str) -> Source {
    Source::Form(FieldName::new(name))
}

fn usual() -> LoginRule {
    rule(vec![field("username")], vec![field("password")])
}

fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
    let lines = lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    let mut headers = HeaderMap::new();
    lines.for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

fn offered(
    rule: &LoginRule,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, u32), Unreadable> {
    let credentials = read(rule, &Request { names: &[], query, headers, body: Some(body) })?;
    let accounts: Vec<_> = credentials.usernames.iter().map(|u| u.account.as_str()).collect();
    Ok((accounts.join(" "), credentials.guesses))
}

/// What the usual rule makes of a body.
#[track_caller]
fn check(media: &'static str, body: impl AsRef<[u8]>, expected: &str, guesses: u32) {
    let headers = headers(&[(CONTENT_TYPE, media)]);
    let found = offered(&usual(), None, &headers, body.as_ref());
    let shown = String::from_utf8_lossy(body.as_ref()).into_owned();
    assert_eq!(found, Ok((expected.to_owned(), guesses)), "{media}: {shown}");
}

#[track_caller]
fn check_malformed(media: &'static str, body: impl AsRef<[u8]>) {
    let headers = headers(&[(CONTENT_TYPE, media)]);
    let found = offered(&usual(), None, &headers, body.as_ref());
    let shown = String::from_utf8_lossy(body.as_ref()).into_owned();
    assert!(matches!(found, Err(Unreadable::Malformed(_))), "{media}: {shown}: {found:?}");
}

#[test]
fn a_form_is_read_however_its_fields_are_spelled() {
    for body in [
        "username=victim&password=x",
        "%75sername=victim&password=x",
        "+username=victim&password=x",
        "USERNAME=victim&Password=x",
        "username%00x=victim&password=x",
        "username[]=victim&password=x",
        "username%5B0%5D=victim&password=x",
        "username=%76ictim&password=x",
        "a=1&&=2&username=victim&password=x&",
        "user%u006eame=victim&password=x",
    ] {
        check(FORM, body, "victim", 1);
        check("Application/X-WWW-Form-URLencoded ; x=y", body, "victim", 1);
        check("text/plain", body, "victim", 1);
        check("application/octet-stream", body, "victim", 1);
        check("", body, "victim", 1);
    }
    check(FORM, "username=Victim+&password=x", "victim", 1);
    check(FORM, "username=100%25&password=100%", "100%", 1);
    check(FORM, "username=&password=x", "", 1);
    check(FORM, "username&password", "", 1);
    check(FORM, "q=username=victim", "", 1);
    check("text/plain", "username=victim\r\npassword=x\r\n", "victim password=x victim", 1);
}

#[test]
fn every_username_of_a_doubled_field_counts() {
    check(FORM, "username=decoy&username=victim&password=x", "decoy victim", 1);
    check(FORM, "username=victim&username=Victim&password=x", "victim", 1);
    check(FORM, "username=a;username=b&password=x", "a;username=b a b", 1);
    check(FORM, "username=v%u0069ctim&password=x", "v%u0069ctim victim", 1);
    check(FORM, "username=victim%ff&password=x", "victimy victim", 1);
    check(JSON, r#"{"username":"decoy","username":"victim"}"#, "decoy victim", 1);
    let many = "username=a&username=b&username=c&username=d&username=e";
    let headers = headers(&[(CONTENT_TYPE, FORM)]);
    assert_eq!(
        offered(&usual(), None, &headers, many.as_bytes()),
        Err(Unreadable::TooManyUsernames(Carries::UsernameOnly))
    );
    let spellings: String = (1..20).map(|n| format!("username=v{}&", "%00".repeat(n))).collect();
    let found = offered(&usual(), None, &headers, spellings.as_bytes());
    assert_eq!(found, Err(Unreadable::TooManyUsernames(Carries::UsernameOnly)));
    let four = many.strip_suffix("&username=e").expect("it ends so");
    check(FORM, four, "a b c d", 1);
}

#[test]
fn passwords_are_counted_as_guesses() {
    check(FORM, "username=v&password=a&password=b&password=a", "v", 2);
    check(FORM, "username=v&password[]=a&password[]=b&password[]=c", "v", 3);
    check(FORM, "username=v&password=", "v", 1);
    check(FORM, "username=v&password=a;b", "v", 1);
    check(JSON, r#"{"username":"v","password":["a","b","a"]}"#, "v", 3);
    check(JSON, r#"[{"username":"v","password":"a"},{"username":"v","password":"a"}]"#, "v", 2);
    check(JSON, r#"{"username":"v","password":{"$ne":""}}"#, "v", 1);
    check(JSON, r#"{"username":"v"}"#, "v", 1);
}

#[track_caller]
fn check_headers(
    lines: &[(HeaderName, &'static str)],
    body: &[u8],
    expected: Result<&str, Unreadable>,
) {
    let found = offered(&usual(), None, &headers(lines), body).map(|(accounts, _)| accounts);
    assert_eq!(found.as_deref(), expected.as_ref().map(|text| *text), "{lines:?}");
}

#[test]
fn other_charsets_and_unclear_types_are_refused() {
    let body = b"username=victim&password=x";
    for value in [
        "a/b; charset=ibm037",
        "a/b;charset=utf-16le",
        "a/b; charset=utf-8; charset=ibm037",
        "a/b; CHARSET = \"utf-7\"",
        "a/b; charset*=utf-8''x",
        "a/b; charset=",
        "a/b; x=\"; charset=utf-32",
    ] {
        check_headers(&[(CONTENT_TYPE, value)], body, Err(Unreadable::Charset));
    }
    for value in
        ["a/b; charset=UTF-8", "a/b; charset=\"iso-8859-1\"", "a/b;charset=us-ascii;x=charset"]
    {
        check_headers(&[(CONTENT_TYPE, value)], body, Ok("victim"));
    }
    let latin = (CONTENT_TYPE, "application/x-www-form-urlencoded; charset=windows-1252");
    check_headers(&[latin], b"username=vi%CC%81&password=x", Ok("vi vii"));
    let twice = [(CONTENT_TYPE, FORM), (CONTENT_TYPE, JSON)];
    assert!(matches!(
        offered(&usual(), None, &headers(&twice), body),
        Err(Unreadable::Malformed(_))
    ));
    check_malformed("application/x-www-form-urlencoded, application/json", body);
    check_headers(&twice, b"", Ok(""));
    check_headers(&[], body, Ok("victim"));
}

#[test]
fn a_coded_body_is_read_decoded_and_as_it_is() {
    let coded = |name: &'static str| [(CONTENT_TYPE, FORM), (CONTENT_ENCODING, name)];
    let body = b"username=victim&password=x";
    check_headers(&coded("identity"), body, Ok("victim"));
    check_headers(&coded("zstd"), body, Err(Unreadable::Coding));
    check_headers(&coded("gzip, gzip"), body, Err(Unreadable::Coding));
    let damaged = Unreadable::Malformed("the body is not in the coding it says");
    check_headers(&coded("gzip"), body, Err(damaged));
    // upstreams that do not decode read the name of the file as a form
    let builder = GzBuilder::new().filename("x&username=victim&password=x&");
    let mut gzip = builder.write(Vec::new(), Compression::fast());
    gzip.write_all(b"username=decoy&password=x").expect("memory");
    let gzip = gzip.finish().expect("memory");
    check_headers(&coded("gzip"), &gzip, Ok("victim decoy"));
    let parts =
        [(CONTENT_TYPE, "multipart/form-data; boundary=username"), (CONTENT_ENCODING, "gzip")];
    let boundary = Unreadable::Malformed("a boundary in a coded body");
    check_headers(&parts, &gzip, Err(boundary));
}

#[test]
fn query_body_and_cookies_all_count() {
    let rule = usual();
    let form = [(CONTENT_TYPE, FORM), (COOKIE, "a=b; username=cookie; password=c")];
    let check = |query: Option<&str>, body: &str, expected: &str, carries: Carries| {
        let headers = headers(&form);
        let request = Request { names: &[], query, headers: &headers, body: Some(body.as_bytes()) };
        let found = read(&rule, &request).expect("readable");
        let names: Vec<_> = found.usernames.iter().map(|u| u.account.as_str()).collect();
        assert_eq!(
            (names.join(" ").as_str(), found.carries),
            (expected, carries),
            "{query:?} {body}"
        );
    };
    check(Some("username=q"), "username=b&password=x", "q b cookie", Carries::Password);
    check(Some("username=q&password=x"), "", "q cookie", Carries::Password);
    check(Some("a=b;username=q"), "password=x", "q cookie", Carries::Password);
    check(None, "username=b", "b cookie", Carries::Password);
    check(None, "", "cookie", Carries::Nothing);
    let password = headers(&[(COOKIE, "password=c")]);
    let request = Request { names: &[], query: None, headers: &password, body: None };
    assert_eq!(read(&rule, &request).map(|found| found.carries), Ok(Carries::Nothing));
    let no_cookie = HeaderMap::new();
    let carries = |query| {
        let request = Request { names: &[], query, headers: &no_cookie, body: None };
        read(&rule, &request).expect("readable").carries
    };
    assert_eq!(carries(Some("username=")), Carries::UsernameOnly);
    assert_eq!(carries(Some("password")), Carries::Password);
    assert_eq!(carries(Some("x=y")), Carries::Nothing);
    assert_eq!(carries(None), Carries::Nothing);
}

#[test]
fn all_sources_of_a_rule_are_asked_in_its_order() {
    let header = HeaderName::from_static("x-user");
    let sources = vec![
        Source::Path("name".into()),
        Source::Header(header.clone()),
        Source::Json(FieldName::pointer("/identifier/user")),
        Source::Query(FieldName::new("u")),
    ];
    let rule = rule(sources, vec![field("password")]);
    let headers = headers(&[(header, "head"), (CONTENT_TYPE, JSON)]);
    let names = [("name".into(), b"path".as_slice().into())];
    let body = Some(br#"{"identifier":{"user":"body"},"u":"no"}"#.as_slice());
    let request = Request { names: &names, query: Some("u=query"), headers: &headers, body };
    let found = read(&rule, &request).expect("readable");
    let accounts: Vec<_> = found.usernames.iter().map(|u| u.account.as_str()).collect();
    assert_eq!(accounts, ["path", "head", "body", "query"]);
}

#[track_caller]
fn check_basic(lines: &[&'static str], expected: Option<&[&str]>) {
    let lines: Vec<_> = lines.iter().map(|line| (AUTHORIZATION, *line)).collect();
    let found = basic(&headers(&lines)).ok();
    let names = found.iter().flatten().map(|b| String::from_utf8_lossy(b.username()).into_owned());
    let names: Vec<_> = names.collect();
    assert_eq!(
        found.is_some().then_some(names),
        expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect())
    );
}

#[test]
fn basic_credentials_are_read_in_every_spelling() {
    check_basic(&["Basic dXNlcjpwOnc="], Some(&["user"]));
    check_basic(&["bASIC  \t dXNlcjpwOnc"], Some(&["user"]));
    check_basic(&["Basic dXNlcjpwdz==", "Basic dXNlcjI6cHc="], Some(&["user", "user2"]));
    check_basic(&["Basic dXNlcjpwOnc=", "Basic YjpjZA=="], Some(&["user", "b"]));
    check_basic(&["Basic dXNlcjpwOnc=", "Basic dXNlcjpwOnc="], Some(&["user"]));
    check_basic(&["Basic dXNlcjpwOnc=, Basic YjpjZA=="], None);
    check_basic(&["Basic OnB3"], Some(&[""]));
    check_basic(&["Basic dXNlcg=="], None);
    check_basic(&["Basic !"], None);
    check_basic(&["Basic"], None);
    check_basic(&["Bearer x", "Digest username=\"user\""], Some(&[]));
    let rule = rule(vec![Source::Basic], Vec::new());
    let headers =
        headers(&[(AUTHORIZATION, "Basic dXNlcjpwOnc="), (AUTHORIZATION, "Basic dXNlcjpwOng=")]);
    let request = Request { names: &[], query: None, headers: &headers, body: None };
    let found = read(&rule, &request).expect("readable");
    assert_eq!((found.usernames.len(), found.guesses, found.carries), (1, 2, Carries::Password));
}

#[test]
fn conditions_hold_if_any_value_fits() {
    let pattern = |name: &str, glob: &str| (FieldName::new(name), Glob::new(glob, Case::Keep));
    let when =
        When { query: vec![pattern("_task", "login")], field: vec![pattern("_action", "log*")] };
    let headers = HeaderMap::new();
    let check = |query, body: &str| {
        let request = Request { names: &[], query, headers: &headers, body: Some(body.as_bytes()) };
        holds(&when, &request, 1000)
    };
    assert_eq!(check(Some("_task=login"), "_action=login"), Ok(true));
    assert_eq!(check(Some("_task=mail&_task=login&_action=log"), ""), Ok(true));
    assert_eq!(check(Some("_task=login"), "{\"_action\":\"login\"}"), Ok(true));
    assert_eq!(check(None, "_task=login&_action=login"), Ok(false));
    assert_eq!(check(Some("_task=login"), "_action=x"), Ok(false));
    let request = Request { names: &[], query: None, headers: &headers, body: None };
    assert_eq!(holds(&When::default(), &request, 1000), Ok(true));
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let headers = headers(&[(AUTHORIZATION, "Basic dXNlcjpwOnc=")]);
    let query = Some("username=victim&password=hunter2");
    let request = Request { names: &[], query, headers: &headers, body: None };
    let shown = format!("{request:?} {:?} {:?}", read(&usual(), &request), basic(&headers));
    assert!(!shown.contains("victim") && !shown.contains("hunter2") && !shown.contains("user:"));
}

#[test]
fn the_worst_bodies_are_read_in_bounded_time() {
    let rule = usual();
    let clock = Clock::system();
    let long = |part: &str| part.repeat(60_000 / part.len());
    for (media, body) in [
        (FORM, long("a&")),
        (FORM, long("username=a&")),
        (FORM, long("password=%61;")),
        (FORM, format!("username={}", long("%EF%B7%BA"))),
        (FORM, format!("username={}", long("%ff%00"))),
        (FORM, long("[")),
        (FORM, long("a[b]")),
        (JSON, format!("[{}1]", long("[],"))),
        (JSON, format!("{{{}\"a\":1}}", long("\"password\":1,"))),
        (JSON, long("[")),
        (JSON, format!("{{\"{}\":1}}", long("a[b]"))),
        (JSON, format!("{{\"usernamex{}\":[{}1]}}", "[b]".repeat(9_000), "1,".repeat(15_000))),
        (PARTS, long("\r\n--")),
        (PARTS, long(&part("name=\"password\"", "a")) + "--B--"),
        ("multipart/form-data; boundary=--------------------", long("-")),
    ] {
        let headers = headers(&[(CONTENT_TYPE, media)]);
        let start = clock.now();
        let _found = offered(&rule, None, &headers, body.as_bytes()).is_ok();
        let took = clock.now().since(start).as_millis();
        assert!(took < 500, "{took} ms for {}", body.get(..40).unwrap_or(&body));
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in "([&=;%+\\[\\]{}:,\"a-c\r\n]|username|password|--B|%u0061|\\\\u0061|\\PC){0,40}") {
        for media in [FORM, JSON, PARTS, "", "a/b; charset=latin1"] {
            let headers = headers(&[(CONTENT_TYPE, media)]);
            let _found = offered(&usual(), Some(&body), &headers, body.as_bytes()).is_ok();
        }
    }

    #[test]
    fn a_username_is_found_wherever_it_stands(
        before in prop::collection::vec("[a-z]{1,8}=[a-z%20+]{0,8}", 0..5),
        name in "[a-z]{1,12}",
    ) {
        let body = format!("{}&username={name}&password=x", before.join("&"));
        let found = offered(&usual(), None, &headers(&[(CONTENT_TYPE, FORM)]), body.as_bytes());
        prop_assert!(found.is_ok_and(|(accounts, _)| accounts.split(' ').any(|a| a == name)));
    }
}
