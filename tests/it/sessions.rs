//! Sessions: second factors are guesses of the account that the session belongs to, until it ends.

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Guard, Upstream};

const SITES: &str = r#"
lockout: { limits: { by: username, failures: 3, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        session_cookie: "sid*"
        outcome: { success: { status: 302 } }
      - path: /code
        password: { form: code }
        session_cookie: "sid*"
        outcome: { success: { status: 302 } }
    logouts:
      - { path: /logout, methods: [POST], status: 302, session_cookie: "sid*" }
      - { path: /index, when: { query: { action: logout } }, session_cookie: "sid*" }
"#;

/// An application with two factors: the right password begins the session of that user.
fn two_factors() -> Upstream {
    Upstream::answering(|request| {
        let text = request.text();
        let redirect = |cookie: &str| {
            let cookie =
                if cookie.is_empty() { String::new() } else { format!("Set-Cookie: {cookie}\r\n") };
            format!("HTTP/1.1 302 Found\r\nLocation: /app\r\n{cookie}Content-Length: 0\r\n\r\n")
        };
        let user = text.strip_prefix("user=").and_then(|rest| rest.split('&').next());
        match (request.target.as_str(), user) {
            ("/login", Some(user)) if text.ends_with("password=right") => {
                redirect(&format!("sid=of-{user}; Path=/"))
            }
            ("/code", _) if text == "code=123456" => redirect("sid2=full"),
            ("/logout" | "/index?action=logout", _) => redirect("sid=; Max-Age=0"),
            _ => ok("wrong"),
        }
    })
}

fn code(code: &str, session: &str) -> Ask {
    Ask::form("/code", &format!("code={code}")).with("Cookie", &format!("lang=en; sid={session}"))
}

#[test]
fn a_second_factors_codes_are_guesses_of_the_account() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    let from = |address| Client::from(address, &guard).ask(&code("000000", "of-bob")).status;
    assert_eq!((from("127.0.0.2"), from("127.0.0.3"), from("127.0.0.4")), (200, 200, 403));
    assert_eq!(guard.ask(&code("123456", "of-bob")).verdict(), (403, "locked"));
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
    assert_eq!(guard.ask(&code("000000", "of-eve")).status, 200);
}

#[test]
fn a_session_that_nobody_knows_is_counted_by_address() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    let statuses = [(); 4].map(|()| guard.ask(&code("000000", "unknown")).status);
    assert_eq!(statuses, [200, 200, 403, 403]);
    let elsewhere = Client::from("127.0.0.9", &guard).ask(&code("000000", "unknown"));
    assert_eq!(elsewhere.status, 200);
    assert!(guard.wait_for_event("rule_suspect").get("reason").contains("no limit counts"));
    assert_eq!(guard.client().log_in("bob", "right").status, 302, "only such attempts");
}

#[test]
fn a_login_in_somebodys_session_counts_for_both_and_does_not_take_it_over() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    let theft = Ask::login("eve", "wrong").with("Cookie", "sid=of-bob");
    assert_eq!(guard.ask(&theft).status, 200);
    let statuses = [(); 2].map(|()| guard.ask(&code("000000", "of-bob")).status);
    assert_eq!(statuses, [200, 403], "the third guess of bob's");
    assert_eq!(guard.client().log_in("bob", "right").status, 403);
    assert_eq!(guard.client().log_in("eve", "wrong").status, 200, "the second of eve's");
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
}

#[test]
fn a_logout_ends_the_session() {
    for (ask, ends) in [
        (Ask::form("/logout", ""), true),
        (Ask::get("/index?action=logout"), true),
        (Ask::get("/logout"), false),
        (Ask::get("/index?action=show"), false),
    ] {
        let upstream = two_factors();
        let guard = Guard::start(SITES, &upstream);
        assert_eq!(guard.client().log_in("bob", "right").status, 302);
        let logout = guard.ask(&ask.with("Cookie", "sid=of-bob"));
        assert_eq!(guard.ask(&code("000000", "of-bob")).status, 200);
        guard.wait_for_event("login_failed");
        let is_unknown = !guard.events("rule_suspect").is_empty();
        assert_eq!(is_unknown, ends, "whether the code is nobody's guess");
        if ends {
            assert_eq!(logout.status, 302);
            assert_eq!(guard.wait_for_event("logged_out").get("client"), "127.0.0.1");
        } else {
            assert!(guard.events("logged_out").is_empty());
        }
    }
}

#[test]
fn a_logout_that_the_upstream_refuses_is_none() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/login" => {
            "HTTP/1.1 302 Found\r\nSet-Cookie: sid=of-bob\r\nContent-Length: 0\r\n\r\n".into()
        }
        _ => ok("are you sure?"),
    });
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    assert_eq!(guard.ask(&Ask::form("/logout", "").with("Cookie", "sid=of-bob")).status, 200);
    guard.ask(&code("000000", "of-bob"));
    guard.wait_for_event("login_failed");
    assert!(guard.events("rule_suspect").is_empty(), "it is bob's session still");
    assert!(guard.events("logged_out").is_empty());
}

#[test]
fn session_cookies_never_show_in_the_log() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    guard.client().log_in("bob", "right");
    guard.ask(&code("424242", "of-bob"));
    guard.wait_for_event("login_failed");
    let log = guard.log();
    for secret in ["of-bob", "424242", "right"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// A wrong code with these cookies.
fn code_with(cookies: &str) -> Ask {
    Ask::form("/code", "code=000000").with("Cookie", cookies)
}

#[test]
fn a_session_is_one_in_every_spelling_of_its_cookie() {
    for cookie in [
        "sid=%6ff-bob",
        "sid=\"of-bob\"",
        "sid=\"\\157f-bob\"",
        "SID=of-bob",
        "%73id=of-bob",
        "a=b, sid=of-bob",
        "sid=other; sid=of-bob",
        "sid=of-bob; sid=other",
    ] {
        let upstream = two_factors();
        let guard = Guard::start(SITES, &upstream);
        assert_eq!(guard.client().log_in("bob", "right").status, 302);
        let from = |address| Client::from(address, &guard).ask(&code_with(cookie)).status;
        let statuses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"].map(from);
        assert_eq!(statuses, [200, 200, 403, 403], "{cookie}");
    }
}

#[test]
fn a_logout_in_one_of_two_sessions_ends_neither() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    let logout = Ask::form("/logout", "").with("Cookie", "sid=other; sid=of-bob");
    assert_eq!(guard.ask(&logout).status, 302);
    let from = |address| Client::from(address, &guard).ask(&code("000000", "of-bob")).status;
    assert_eq!(["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(from), [200, 200, 403]);
}

#[test]
fn logins_beside_somebodys_session_do_not_push_its_owner_out() {
    for cookies in ["sid=mine; sid=of-bob", "sid=of-bob; sid=mine"] {
        let upstream = two_factors();
        let guard = Guard::start(SITES, &upstream);
        assert_eq!(guard.client().log_in("bob", "right").status, 302);
        for own in 0..12 {
            guard.ask(&Ask::login(&format!("own{own}"), "right").with("Cookie", cookies));
        }
        let from = |address| Client::from(address, &guard).ask(&code("000000", "of-bob")).status;
        let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
        assert_eq!(addresses.map(from), [200, 200, 403, 403], "{cookies}");
        assert_eq!(guard.client().log_in("bob", "right").status, 403);
    }
}

#[test]
fn one_attempt_is_charged_to_a_handful_of_accounts_or_refused() {
    let upstream = two_factors();
    let guard = Guard::start(SITES, &upstream);
    for user in 0..9 {
        let ask = Ask::login(&format!("user{user}"), "wrong");
        assert_eq!(guard.ask(&ask.with("Cookie", &format!("sid=s{user}"))).status, 200);
    }
    let sessions = |n| (0..n).map(|n| format!("sid=s{n}; ")).collect::<String>();
    let hits = upstream.hits();
    assert_eq!(guard.ask(&code_with(&sessions(9))).verdict(), (400, "refused"));
    let junk = (0..40).map(|n| format!("sid=junk{n}; ")).collect::<String>();
    assert_eq!(guard.ask(&code_with(&junk)).verdict(), (400, "refused"));
    assert_eq!(upstream.hits(), hits);
    assert_eq!(guard.ask(&code_with(&sessions(2))).status, 200, "the second of both");
    let guess = |user| guard.client().log_in(user, "wrong").status;
    assert_eq!((guess("user0"), guess("user1")), (403, 403), "the third");
    assert_eq!(guess("user2"), 200, "nothing else was charged");
}

#[test]
fn a_session_is_known_from_the_target_and_through_every_renewal() {
    for ask in [
        Ask::form("/code;sid=of-bob", "code=000000"),
        Ask::form("/code?sid=of-bob", "code=000000"),
        code_with("sid=of!-bob"),
    ] {
        let upstream = two_factors();
        let guard = Guard::start(SITES, &upstream);
        assert_eq!(guard.client().log_in("bob", "right").status, 302);
        let from = |address| Client::from(address, &guard).ask(&ask).status;
        let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
        assert_eq!(addresses.map(from), [200, 200, 403, 403]);
    }
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/login" => "HTTP/1.1 302 Found\r\nSet-Cookie: sid=one\r\nContent-Length: 0\r\n\r\n".into(),
        "/page" => "HTTP/1.1 200 OK\r\nSet-Cookie: sid=two\r\nContent-Length: 0\r\n\r\n".into(),
        _ => ok("wrong"),
    });
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    assert_eq!(guard.ask(&Ask::get("/page").with("Cookie", "sid=one")).status, 200);
    let from = |address| Client::from(address, &guard).ask(&code("000000", "two")).status;
    assert_eq!(["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(from), [200, 200, 403]);
}

#[test]
fn a_page_whose_path_resembles_the_logout_ends_nothing() {
    for target in ["/logout/x", "/LOGOUT", "/logout;x", "/logout%20", "/logout.json"] {
        let upstream = two_factors();
        let guard = Guard::start(SITES, &upstream);
        assert_eq!(guard.client().log_in("bob", "right").status, 302);
        guard.ask(&Ask::form(target, "").with("Cookie", "sid=of-bob"));
        let from = |address| Client::from(address, &guard).ask(&code("000000", "of-bob")).status;
        assert_eq!(["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(from), [200, 200, 403], "{target}");
    }
}

#[test]
fn a_renewed_session_belongs_to_its_owner_whatever_else_the_request_carries() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/login" if request.text().contains("right") => {
            "HTTP/1.1 302 Found\r\nSet-Cookie: sid=one\r\nContent-Length: 0\r\n\r\n".into()
        }
        "/page" => "HTTP/1.1 200 OK\r\nSet-Cookie: sid=two\r\nContent-Length: 0\r\n\r\n".into(),
        _ => ok("wrong"),
    });
    let guard = Guard::start(SITES, &upstream);
    assert_eq!(guard.client().log_in("bob", "right").status, 302);
    guard.ask(&Ask::login("decoy", "x").with("Cookie", "sid=zz"));
    guard.ask(&Ask::get("/page").with("Cookie", "SID=zz; sid=one"));
    let from = |address| Client::from(address, &guard).ask(&code("000000", "two")).status;
    assert_eq!(["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(from), [200, 200, 403]);
}
