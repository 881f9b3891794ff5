//! The path of a login, in every spelling that some upstream accepts.

use super::{GUESS, ONE, Sealed, post};
use crate::support::Ask;

/// Other ways to write `/login`.
const SPELLINGS: &[&str] = &[
    // letter case: Express, IIS
    "/LOGIN",
    "/LoGiN",
    // slashes
    "/login/",
    "/login//",
    "//login",
    "///login",
    "/login///",
    // dot segments
    "/./login",
    "/login/.",
    "/x/../login",
    "/static/a/../../login",
    "/login/x/..",
    "/.//login",
    "/a/b/../.././login",
    "/../login",
    "/../../../login",
    // percent-encoding, once and more
    "/%6cogin",
    "/%6Cogin",
    "/l%6fgin",
    "/%6c%6f%67%69%6e",
    "/%4cogin",
    "/%256cogin",
    "/%25256cogin",
    "/%u006cogin",
    "/x/%2e%2e/login",
    "/x/.%2e/login",
    "/x/%2E./login",
    "/x/%252e%252e/login",
    "/%2e/login",
    "/%2flogin",
    "/%2Flogin",
    "/%252flogin",
    "/x%2f..%2flogin",
    "/login%2f",
    // overlong UTF-8
    "/%c1%acogin",
    "/x/%c0%ae%c0%ae/login",
    "/x%c0%af..%c0%aflogin",
    // path parameters: servlets
    "/login;jsessionid=1",
    "/login;",
    "/;x/login",
    "/;/login",
    "/x/..;/login",
    "/x/..;a=b/login",
    "/login;x=/../y",
    "/login%3bx",
    // backslashes: IIS
    "/x\\..\\login",
    "\\login",
    "/\\login",
    "/x/..%5clogin",
    "/%5clogin",
    "/login\\",
    // what Windows drops at the end
    "/login.",
    "/login..",
    "/login%20",
    "/login%20.",
    "/login.%20.",
    "/login::$DATA",
    // what regular expressions and C strings let pass
    "/login%0a",
    "/login%0d%0a",
    "/login%09",
    "/%09login",
    "/%20login",
    "/login%00",
    "/login%00.png",
    "/login%00/x",
    "/login%2500",
    // letters that are taken for others
    "/%EF%BD%8Cogin",
    "/lo%EF%BD%87in",
    "/%ef%bd%8c%ef%bd%8f%ef%bd%87%ef%bd%89%ef%bd%8e",
    "/%E2%93%9Bogin",
    "/log%C4%B1n",
    "/log%C4%B0n",
    "/login%C2%A0",
    "/%EF%BC%8Flogin",
    // front controllers and PATH_INFO
    "/index.php/login",
    "/INDEX.PHP/login",
    "/app.php/login",
    "/app_dev.php/login",
    "/index.cfm/login",
    "/index.php//login",
    "/index.php/./login",
    "/login/x.css",
    "/login/x/y",
    "/login.php",
    "/login.php/x.css",
    // format suffixes
    "/login.json",
    "/login.html",
    "/login.xml",
    "/login.do",
    "/login.JSON",
    "/login%2ejson",
    // cookieless sessions
    "/(S(abc))/login",
    "/(A(x)S(y)F(z))/login",
    "/(s(abc))/Login",
    "/%28S(abc)%29/login",
    // all together
    "/x/..;/%2e//%4c%4fGIN;a=b/;/.",
    "/index.php/%6c%6Fgin.json;v=1",
    "/x\\..\\LOGIN.%20",
    // the query and the fragment
    "/login?",
    "/login?x=1",
    "/login??",
    "/login#x",
    "/login%3f",
    "/login%23x",
];

#[test]
fn a_login_is_one_in_every_spelling_of_its_path() {
    Sealed::new().stops_all(SPELLINGS.iter().map(|target| post(target, GUESS)));
}

#[test]
fn a_login_without_a_password_field_is_one_in_every_spelling_that_is_the_same_path() {
    let rule = ONE.replace("        password: { form: password }\n", "");
    Sealed::with(&rule).stops_all(SPELLINGS.iter().map(|target| post(target, GUESS)));
}

#[test]
fn a_strict_site_refuses_other_spellings_of_a_logins_path() {
    let strict = ONE.replace("    logins:", "    paths: strict\n    logins:");
    let sealed = Sealed::with(&strict);
    sealed.stops_all(SPELLINGS.iter().map(|target| post(target, GUESS)));
    let right = "username=alice&password=right";
    for target in ["/LOGIN", "//login", "/%6cogin", "/login;a=b", "/index.php/login", "/./login"] {
        let answer = sealed.guard.ask(&Ask::form(target, right));
        assert_eq!(answer.verdict(), (400, "refused"), "{target}");
        let answer = sealed.guard.ask(&Ask::get(target));
        assert_eq!(answer.verdict(), (400, "refused"), "{target}");
    }
    for target in
        ["/login", "/login/", "/login?x=%2f", "/login/poll", "/login.css", "/%6Cog", "//x"]
    {
        sealed.passes(&Ask::get(target));
    }
    sealed.passes(&Ask::form("/login", right));
}

#[test]
fn a_login_is_one_whatever_names_its_host() {
    let sealed = Sealed::new();
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26";
    for head in [
        "POST http://other/login HTTP/1.1\r\nHost: shop.test",
        "POST HTTP://other/login HTTP/1.1\r\nHost: shop.test",
        "POST http://other//LOGIN HTTP/1.1\r\nHost: shop.test",
        "POST https://shop.test:443/login HTTP/1.1\r\nHost: x",
        "POST http://user@other/login HTTP/1.1\r\nHost: shop.test",
        "POST /login HTTP/1.1\r\nHost: LOCALHOST.",
        "POST /login HTTP/1.1\r\nHost: [::1]:80",
        "POST /login HTTP/1.1\r\nHost:",
        "POST /login HTTP/1.0\r\nAccept: */*",
        "POST /login HTTP/1.0\r\nHost: shop.test",
        "POST /login HTTP/1.1\r\nhost: a\r\nHost: b",
        "POST /login HTTP/1.1",
        "POST login HTTP/1.1\r\nHost: shop.test",
        "POST http:/login HTTP/1.1\r\nHost: shop.test",
        "POST http:///login HTTP/1.1\r\nHost: shop.test",
        "POST  /login HTTP/1.1\r\nHost: shop.test",
        "POST /login  HTTP/1.1\r\nHost: shop.test",
        "POST\t/login\tHTTP/1.1\r\nHost: shop.test",
        "POST /login http/1.1\r\nHost: shop.test",
        "POST /login HTTP/1.2\r\nHost: shop.test",
        "POST /login HTTP/2.0\r\nHost: shop.test",
        "POST /login\r\nHost: shop.test",
        "\r\n\r\nPOST /login HTTP/1.1\r\nHost: shop.test",
    ] {
        sealed.stops(format!("{head}\r\n{form}\r\n\r\n{GUESS}"));
    }
}

#[test]
fn headers_do_not_route_a_login_past_the_guard() {
    let sealed = Sealed::new();
    for name in [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-URI",
        "X-Forwarded-Uri",
        "X-Forwarded-Path",
        "X_Original_URL",
        "x_rewrite-url",
    ] {
        let form = Ask::form("/", GUESS).with(name, "/login");
        let request = sealed.passes(&form);
        assert!(request.fields.all(name).is_empty(), "{name} goes upstream");
    }
}

#[test]
fn a_closed_path_is_closed_in_every_spelling() {
    let closed = ONE.replace("    logins:", "    closed: /login\n    logins:");
    let closed = closed.replace("path: /login", "path: /signin");
    let upstream = crate::support::Upstream::shop();
    let guard = crate::support::Guard::start(&closed, &upstream);
    for target in SPELLINGS {
        let answer =
            guard.client().send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).answer();
        assert!([400, 403].contains(&answer.status), "{target}: {}", answer.status);
    }
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn what_merely_resembles_a_login_is_ordinary() {
    let sealed = Sealed::new();
    for target in [
        "/login-help",
        "/loginx",
        "/log",
        "/logi",
        "/xlogin",
        "/login_failed",
        "/a/login",
        "/login2",
        "/blogin",
        "/?login",
        "/x?path=/login",
        "/LOGIN-HELP",
        "/login%2dhelp",
        "/login.help.me/x/..%2f..",
    ] {
        sealed.passes(&Ask::form(target, "q=victim"));
    }
    for target in ["/login/poll", "/login/ping?x=1", "/login.css", "/login/x.js"] {
        sealed.passes(&Ask::form(target, "q=victim"));
        sealed.passes(&Ask::get(target));
    }
    sealed.passes(&Ask::get("/login"));
    sealed.passes(&Ask::get("/login?next=/app"));
}

#[test]
fn what_is_forwarded_is_what_was_judged() {
    let sealed = Sealed::new();
    for target in ["/LOGIN;a=b//x/..", "/%6cogin?a=%2f", "/login%20", "//login", "/login?x=1"] {
        let form = format!("username=user{}&password=right", target.len());
        let request = sealed.passes(&Ask::form(target, &form));
        assert_eq!((request.target.as_str(), request.text()), (target, form), "byte for byte");
    }
}

#[test]
fn a_site_is_guarded_under_every_spelling_of_its_host() {
    const SITES: &str = r#"
lockout: { limits: { by: username, failures: 1, cool_off: 10m } }
sites:
  - name: shop
    hosts: [shop.test, "*.shop.test"]
    upstream: "{UPSTREAM}"
    logins:
      - { path: /login, username: { form: username }, password: { form: password }, outcome: { success: { status: 302 } } }
"#;
    let upstream = crate::support::Upstream::shop();
    let guard = crate::support::Guard::start(SITES, &upstream);
    let send = |line: &str, host: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26";
        let mut client = crate::support::Client::from("127.0.0.2", &guard);
        client.send(format!("{line} HTTP/1.1\r\n{host}\r\n{form}\r\n\r\n{GUESS}"));
        client.answer_head().map(|answer| answer.status)
    };
    assert_eq!(send("POST /login", "Host: shop.test"), Some(403));
    for (line, host) in [
        ("POST /login", "Host: SHOP.Test"),
        ("POST /login", "Host: shop.test."),
        ("POST /login", "Host: shop.test:8080"),
        ("POST /login", "Host: shop.test.:8080"),
        ("POST /login", "Host: shop.test:"),
        ("POST /login", "Host:  shop.test "),
        ("POST /login", "Host: WWW.shop.TEST."),
        ("POST /login", "Host: a.b.shop.test"),
        ("POST /login", "Host: other.test"),
        ("POST /login", "Host: shop.test.other.test"),
        ("POST /login", "Host: user@shop.test"),
        ("POST /login", "Host: shop.test/other"),
        ("POST /login", "Host: shop.test, other.test"),
        ("POST /login", "Host: 127.0.0.1"),
        ("POST /login", "Host: [::1]"),
        ("POST /login", "Host:"),
        ("POST /login", "Host: shop.test\r\nHost: other.test"),
        ("POST /login", "Host: other.test\r\nX-Forwarded-Host: shop.test"),
        ("POST http://shop.test/login", "Host: other.test"),
        ("POST http://other.test/login", "Host: shop.test"),
        ("POST HTTP://SHOP.TEST:80/login", "Host: x"),
    ] {
        let status = send(line, host);
        assert!(status.is_none_or(|status| status >= 400), "{status:?} {line} {host}");
    }
    assert_eq!(upstream.hits(), 1);
}
