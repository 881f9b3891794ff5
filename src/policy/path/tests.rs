//! Spellings of paths, as tables and properties.

use proptest::prelude::*;

use super::MatchKind::{Exact, Extended, Prefix, Respelled, Template};
use super::*;
use crate::clock::Clock;

fn index(patterns: &[&'static str]) -> PathIndex<&'static str> {
    PathIndex::new(patterns.iter().map(|p| (PathPattern::parse(p).expect("a pattern"), *p)))
}

#[track_caller]
fn check(pattern: &'static str, raw: &str, expected: Option<MatchKind>) {
    let found = index(&[pattern]).find(raw).expect("a clear path");
    assert_eq!(found.first().map(|m| m.kind), expected, "{raw} against {pattern}");
}

#[test]
fn a_path_as_written_fits_exactly() {
    check("/login", "/login", Some(Exact));
    check("/login", "/login/", Some(Exact));
    check("/login/", "/login", Some(Exact));
    check("/Account/Login", "/Account/Login", Some(Exact));
    check("/", "/", Some(Exact));
    check("/wp-login.php", "/wp-login.php", Some(Exact));
    check("/caf%C3%A9", "/caf%C3%A9", Some(Exact));
    check("/.well-known/login", "/.well-known/login", Some(Exact));
}

#[test]
fn what_merely_resembles_a_login_is_none() {
    for raw in [
        "/login-help",
        "/loginx",
        "/log",
        "/",
        "/x/login",
        "/login%2dhelp",
        "/lo/gin",
        "/log.in",
        "/l%6Fgins",
        "/x/../logins",
        "/static/login.js",
        "//loginx",
        "*",
        "",
        "/login~",
        "/%256cogin%25",
        "/x/..%2f..%2fetc/passwd",
        "/.login",
    ] {
        check("/login", raw, None);
    }
    check("/wp-login.php", "/wp-login", Some(Extended));
    check("/wp-login.php", "/wp-login-php", None);
    check("/", "/x", None);
    check("/index.php", "/x", None);
}

#[test]
fn every_spelling_of_the_whole_path_is_recognised() {
    for raw in "/LOGIN /login// //login /./login /static/a/../../login /%6cogin /%6Cogin \
        /x/%2e%2e/login /%2flogin /%256cogin /%25256cogin /login;jsessionid=1 /;x/login \
        /x/..;/login /x\\..\\login /x%5c..%5clogin /login. /login%20 /login... /login%0a \
        /login%00.png /login%00 /%EF%BD%8Cogin /%u006cogin /%u006Cogin /%c1%acogin \
        /%e0%81%acogin /(S(abc))/login /(A(x)S(abc))/LOGIN /index.php/login /app.php/login \
        /app_dev.php/login /index.cfm/login /x/../index.php//login/ /login/. /login/x/.. \
        /%2e/login /login%3fx /login%23x /login%0a/x /x%00/../login /x/%252e%252e/login \
        /%e2%84%93ogin /x/.%2e/login /login;a=b;c=d/ /a;b/../login /a\\b/../../login \
        /%ef%bc%8flogin /x/%ef%bc%8e%ef%bc%8e/login /a%2fb/../login /a%2fb/%2e%2e/login \
        /a//../login /x/..%20/login /l%25u006fgin /login/index.php /log%C4%B1n \
        /(S(x))/../login /a/(S(x))/../login /login%20/ /..//login /../login"
        .split(' ')
    {
        check("/login", raw, Some(Respelled));
    }
    check("/Login", "/login", Some(Respelled));
    check("/index.php/login", "/login", Some(Respelled));
    check("/index.php", "/", Some(Respelled));
    check("/shop/login", "/shop/index.php/login", Some(Respelled));
    check("/", "/index.php", Some(Respelled));
    check("/", "//", Some(Respelled));
    check("/", "/x/..", Some(Respelled));
    check("/caf\u{e9}", "/caf%e9", Some(Respelled));
    check("/caf\u{e9}", "/CAF%C3%89", Some(Respelled));
}

#[test]
fn an_added_segment_or_suffix_is_recognised() {
    for raw in "/login/x /login/x/y.css /login.json /login.php/x.css /LOGIN/x //login/x \
        /login.json;x /x/../login.xml /index.php/login/x /login/..;/x /login.en.html \
        /login.foo_bar-baz /login/x/../y"
        .split(' ')
    {
        check("/login", raw, Some(Extended));
    }
    check("/login.php", "/login.php/x.css", Some(Extended));
    check("/login.php", "/login", Some(Extended));
    check("/login.php", "/login/x", Some(Extended));
    check("/index.php", "/index.php/x", Some(Extended));
    check("/u/{name}/login", "/u/alice/login.json", Some(Extended));
    check("/u/{name}/login", "/u/alice/login/x", Some(Extended));
}

#[test]
fn a_prefix_fits_what_begins_like_it() {
    check("/api/*", "/api/v1/login", Some(Prefix));
    check("/api/*", "/api/", Some(Prefix));
    check("/api/*", "/api", Some(Prefix));
    check("/api/*", "/API/x", Some(Respelled));
    check("/api/*", "//api/x", Some(Respelled));
    check("/api/*", "/index.php/api/x", Some(Respelled));
    check("/api/*", "/apix", None);
    check("/api/*", "/api.json", None);
    check("/wp-*", "/wp-login.php", Some(Prefix));
    check("/wp-*", "/%77p-login.php", Some(Respelled));
    check("/wp-*", "/wp/x", None);
    check("/*", "/", Some(Prefix));
    check("/*", "/anything%20at/all", Some(Prefix));
}

#[track_caller]
fn check_names(pattern: &'static str, raw: &str, expected: &[&str]) {
    let found = index(&[pattern]).find(raw).expect("a clear path");
    let names = found.iter().flat_map(|m| &m.names);
    let mut names: Vec<_> = names.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    names.sort();
    assert_eq!(names, expected, "{raw} against {pattern}");
}

#[test]
fn a_template_captures_its_names_decoded() {
    check("/u/{name}/login", "/u/alice/login", Some(Template));
    check("/u/{name}/login", "/u/alice/login/", Some(Template));
    check("/u/{name}/login", "/u/alice/Login", Some(Respelled));
    check("/u/{name}/login", "/u//login", None);
    check("/u/{name}/login", "/u/alice/x/login", None);
    check_names("/u/{name}/login", "/u/Alice/login", &["Alice"]);
    check_names("/u/{name}/login", "/u/alice%40corp/l%6fgin", &["alice@corp"]);
    check_names("/u/{name}/login", "/u/al%2569ce/login", &["al%69ce", "alice"]);
    check_names("/u/{name}/login", "/u/al%2fice/l%6fgin", &["al/ice"]);
    check_names("/u/{name}/login", "/u/alice;x=y/login", &["alice", "alice;x=y"]);
    check_names("/u/{name}", "/u/alice.json", &["alice", "alice.json"]);
    check_names("/u/{name}", "/u/bob@corp.com", &["bob@corp.com"]);
    check_names("/{a}/{b}", "/x/y", &["x", "y"]);
}

#[test]
fn the_most_specific_pattern_comes_first() {
    let index = index(&["/*", "/u/*", "/u/{name}/login", "/u/alice/login", "/u/alice"]);
    let kinds = |raw| -> Vec<_> {
        let found = index.find(raw).expect("a clear path");
        found.into_iter().map(|m| (m.value, m.kind)).collect()
    };
    let all = [
        ("/u/alice/login", Exact),
        ("/u/{name}/login", Template),
        ("/u/*", Prefix),
        ("/*", Prefix),
        ("/u/alice", Extended),
    ];
    assert_eq!(kinds("/u/alice/login"), all);
    assert_eq!(kinds("/u/bob/login").first(), Some(&("/u/{name}/login", Template)));
    assert_eq!(kinds("/elsewhere"), [("/*", Prefix)]);
}

#[test]
fn one_value_is_found_once_with_its_best_kind() {
    let patterns = ["/login", "/login.php", "/log*"].map(|p| PathPattern::parse(p).expect("one"));
    let index = PathIndex::new(patterns.into_iter().map(|pattern| (pattern, 7)));
    let found = index.find("/login").expect("a clear path");
    assert_eq!(found, [Match { value: 7, kind: Exact, names: Vec::new() }]);
}

#[track_caller]
fn check_error(written: &str, expected: &str) {
    let error = PathPattern::parse(written).expect_err("no pattern").to_string();
    assert!(error.contains(expected), "{written}: {error}");
}

#[test]
fn an_error_says_what_would_be_right() {
    check_error("login", "write \"/login\"");
    check_error("/login?x=1", "write \"/login\"");
    check_error("/login#x", "write \"/login\"");
    check_error("/a*/b", "write \"/a*\"");
    check_error("/a**", "write \"/a*\"");
    check_error("/u/{}/login", "letters, digits");
    check_error("/u/{a b}", "letters, digits");
    check_error("/u/x{name}", "whole segment");
    check_error("/u/{name", "whole segment");
    check_error("/{a}/{a}", "\"{a}\" stands twice");
    check_error("/u/{name}/*", "write \"/u/*\"");
}

#[test]
fn patterns_for_the_same_paths_are_told() {
    let same = |a, b| {
        let [a, b] = [a, b].map(|p| PathPattern::parse(p).expect("a pattern"));
        a.same_as(&b)
    };
    assert!(same("/login", "/Login/"));
    assert!(same("/wp-login.php", "/wp%2dlogin.php"));
    assert!(same("/u/{name}/login", "/U/{user}/login"));
    assert!(same("/a//b/../c", "/a/c"));
    assert!(!same("/u/{name}/login", "/u/name/login"));
    assert!(!same("/api/*", "/api"));
    assert!(!same("/api/*", "/api*"));
}

#[test]
fn a_path_of_too_many_meanings_is_unclear() {
    let hostile = "/%25252561;x/..\\%00%2f(S(a))/\u{ff0e}./%5c%2e%2e;a//../%c0%af/login";
    assert_eq!(index(&["/login"]).find(hostile), Err(Unclear));
    for harmless in "/files/My%20Document%20(1).pdf /a;jsessionid=ABC/b%2Fc /100%25 \
        /proxy/https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc /x/https://example.com/../y;z \
        /redirect/https%253A%252F%252Fexample.com%252Fa%253Bb \
        /%E6%97%A5%E6%9C%AC%E8%AA%9E/%E3%81%82"
        .split(' ')
    {
        assert_eq!(index(&["/login"]).find(harmless), Ok(Vec::new()), "{harmless}");
    }
}

#[test]
fn the_worst_paths_are_read_in_bounded_time() {
    let index = index(&["/login", "/api/*", "/u/{name}/login", "/wp-*"]);
    let clock = Clock::system();
    for part in
        ["/", "/.", "/..", "/a", "%25", "/%2e", "\\", ";/", "/;/..", "%c0%af", "\u{ff0f}", "."]
    {
        let path = format!("/{}", part.repeat(8192 / part.len()));
        let start = clock.now();
        let _found = index.find(&path).is_ok();
        assert!(clock.now().since(start).as_millis() < 500, "{part}");
    }
}

proptest! {
    #[test]
    fn no_path_panics(raw in "\\PC*|(/|\\.|%2[ef5]|;|\\\\|login|%00|%c0%af|[a-z]|\u{ff0e}){0,20}") {
        let _found = index(&["/login", "/u/{name}/x", "/api/*"]).find(&raw).is_ok();
    }

    #[test]
    fn a_plain_path_has_one_reading(raw in "(/[a-z0-9_-]{1,4}(\\.[a-z]{1,3})?){1,4}") {
        let readings = readings::of(&raw).expect("clear");
        prop_assert_eq!(&readings, std::slice::from_ref(&raw));
        prop_assert_eq!(normal::tidy(&raw), raw);
    }

    /// Upstreams that decode, resolve, drop and fold in any order end at the login: so do we.
    #[test]
    fn any_tower_of_disguises_is_seen_through(steps in prop::collection::vec(0..9usize, 0..4)) {
        let mut path = "/login".to_owned();
        for step in steps {
            path = match step {
                0 => path.replace("ogin", "%6fgin"),
                1 => path.replace('%', "%25"),
                2 => format!("/x/..{path}"),
                3 => format!("/{path}"),
                4 => format!("{path};a=b"),
                5 => path.replace("/l", "\\l"),
                6 => format!("{path}%00x"),
                7 => format!("/(S(q)){path}"),
                _ => path.to_uppercase(),
            };
        }
        if path.matches("25").count() < 3 {
            let found = index(&["/login"]).find(&path);
            prop_assert!(found.is_err() || found.is_ok_and(|f| !f.is_empty()), "{}", path);
        }
    }
}
