//! Failures that redirect to where a success would.

use super::{GUESS, ONE, post};
use crate::support::{Ask, Guard, Upstream};

#[test]
fn an_application_that_answers_with_relative_redirects_is_not_confused_by_paths() {
    const RELATIVE: &str = r#"
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login.php
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302, location: "/app*" } }
"#;
    for location in [
        "login.php?error=1",
        "?error=1",
        "./login.php",
        "",
        "/app.php/login.php?error=1",
        "/app.php/login.php/x",
    ] {
        let upstream = Upstream::answering(move |_| {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        });
        let guard = Guard::start(RELATIVE, &upstream);
        for target in [
            "/app//../login.php",
            "/app/..%2flogin.php",
            "/app/..;/login.php",
            "/app/%2e%2e/login.php",
            "/app.php/login.php",
            "/app.php/login.php/x",
            "/app.php/login.php;a/b",
            "/app.php/login.php%2fx",
            "/app.php/login.php.json",
            "/app.php?q=login.php",
            "/app/../login.php",
        ] {
            guard.client().send(post(target, GUESS)).answer_head();
        }
        assert_eq!(upstream.hits(), 2, "{location:?}");
    }
}

#[test]
fn nothing_is_inferred_where_the_path_was_spelled_otherwise() {
    const INFERRED: &str = "HTTP/1.1 302 Found\r\nLocation: /account\r\nSet-Cookie: flash=1\r\nContent-Length: 0\r\n\r\n";
    let upstream = Upstream::answering(|_| INFERRED);
    let rule = ONE.replace("path: /login", "path: /account");
    let guard =
        Guard::start(&rule.replace("status: 302", "status: 302, location: \"/home*\""), &upstream);
    for target in ["//account", "/account;x", "/x/../account", "/account/."] {
        guard.client().send(post(target, GUESS)).answer_head();
    }
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn laravel_sends_clients_back_to_where_they_say_they_come_from() {
    const BACK: &str = r#"
lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302, location: /home, set_cookie: laravel_session } }
"#;
    let upstream = Upstream::answering(|request| {
        let back = request
            .fields
            .all("referer")
            .last()
            .map_or_else(|| "/home".to_owned(), ToString::to_string);
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {back}\r\nSet-Cookie: laravel_session=1\r\nContent-Length: 0\r\n\r\n"
        )
    });
    let guard = Guard::start(BACK, &upstream);
    let with = |referers: &[&str]| {
        let ask = Ask::form("/login", GUESS);
        guard.ask(&referers.iter().fold(ask, |ask, referer| ask.with("Referer", referer)))
    };
    with(&["http://shop.test/home"]);
    assert_eq!(with(&["http://shop.test/login", "/home"]).verdict(), (400, "refused"));
    with(&["http://SHOP.test:80/home#x"]);
    with(&[""]);
    with(&["0"]);
    with(&["home"]);
    assert_eq!(upstream.hits(), 2);
    let sent = upstream.requests();
    assert!(sent.iter().all(|request| request.get("referer") == Some("http://shop.test/login")));
    let guard = Guard::start(BACK, &upstream);
    guard.ask(&Ask::form("/login", GUESS).with("Referer", "http://shop.test/login?next=%2Fhome"));
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.get("referer"), Some("http://shop.test/login?next=%2Fhome"), "as it came");
}

#[test]
fn the_way_back_of_a_browser_behind_a_proxy_stays_secure() {
    const SECURE: &str = r#"
trusted_proxies: 127.0.0.1
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /app/password
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302, location: "/app*" } }
"#;
    let upstream = Upstream::hello();
    let guard = Guard::start(SECURE, &upstream);
    let ask = |referer: Option<&str>| {
        let ask = Ask::form("/app/password", GUESS).with("X-Forwarded-Proto", "https");
        let ask = ask.with("X-Forwarded-For", "203.0.113.9");
        guard.ask(&referer.into_iter().fold(ask, |ask, referer| ask.with("Referer", referer)));
        upstream.requests().pop().unwrap().get("referer").map(str::to_owned)
    };
    let own = Some("https://shop.test/app/password".to_owned());
    assert_eq!(ask(Some("https://shop.test/app/settings")), own);
    assert_eq!(ask(Some("0")), own);
    assert_eq!(ask(None), None);
    assert_eq!(ask(Some("https://shop.test/other")).as_deref(), Some("https://shop.test/other"));
}
