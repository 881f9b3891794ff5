//! Promise 8: passwords are not kept, and not told to anybody but the application.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::driven::{Driven, Setup, recorder};
use crate::support::{Ask, Guard, Upstream};

const SITES: &str = r#"
sites:
  - name: {SITE}
    upstream: "{UPSTREAM}"
    logins:
      - path: /login
        methods: [GET, POST]
        username: [{ form: username }, { json: /user/name }, { basic: true }]
        password: [{ form: password }, { json: /user/password }, { header: x-password }]
        session_cookie: session
        outcome:
          - success: { status: 302, set_cookie: session }
          - ignore: { status: 429 }
"#;

/// A login in every way in which a password can be sent, right or wrong.
fn logins(password: &str) -> Vec<Ask> {
    let basic = STANDARD.encode(format!("u1:{password}"));
    let form = format!("username=u1&password={password}");
    let json = format!("{{\"user\": {{\"name\": \"u1\", \"password\": \"{password}\"}}}}");
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nu1\r\n--b\r\n\
         Content-Disposition: form-data; name=\"password\"\r\n\r\n{password}\r\n--b--\r\n"
    );
    vec![
        Ask::form("/login", &form),
        Ask::new("POST", "/login").body("application/json", json),
        Ask::new("POST", "/login").body("multipart/form-data; boundary=b", parts),
        Ask::get(&format!("/login?{form}")),
        Ask::get("/login").with("Authorization", &format!("Basic {basic}")),
        Ask::form("/login", "username=u1").with("X-Password", password),
        // one that is refused for what it is
        Ask::new("POST", "/login").body("application/json; charset=utf-32", form.clone()),
        Ask::form("/login", &format!("{form}&username=a&username=b&username=c&username=d")),
        // and one that is no attempt at all
        Ask::form("/elsewhere", &form),
    ]
}

#[test]
fn no_password_is_traced_listed_or_shown_by_debug() {
    let lockout = "lockout: { limits: { by: [username, ip_address], failures: 3, cool_off: 1h } }";
    let driven = Driven::start(&Setup::new(&format!("{SITES}{lockout}\n")));
    // `good` is in too many words to be looked for
    let passwords = ["hunter2-wrong", "hunter2-worse"];
    let encoded = passwords.map(|password| STANDARD.encode(format!("u1:{password}")));
    let needles: Vec<&str> =
        passwords.iter().copied().chain(encoded.iter().map(String::as_str)).collect();
    needles.iter().for_each(|needle| recorder::watch_for(needle));
    for (at, password) in passwords.iter().enumerate() {
        for ask in logins(password) {
            driven.ask(&ask.with("X-Forwarded-For", &format!("10.0.0.{at}")));
        }
    }
    assert_eq!(driven.rows().len(), 2, "both clients were counted, and locked out");
    assert!(!driven.events("refused").is_empty() && !driven.events("login_failed").is_empty());
    let shown = format!("{:?}\n{:?}", driven.server(), driven.rows());
    for needle in needles {
        assert_eq!(recorder::lines_with(needle), Vec::<String>::new());
        assert!(!shown.contains(needle), "{needle} is in what Debug shows");
    }
    // so that this can fail: other things are there
    assert!(shown.contains("10.0.0.1/32"), "{shown}");
}

/// The log as it is written, of the real program, at its most talkative.
#[test]
fn no_password_is_logged_at_any_level_in_any_format() {
    for format in ["text", "json"] {
        let upstream = Upstream::shop();
        let text = SITES.replace("{SITE}", "shop");
        let log = format!("log: {{ format: {format}, level: trace, access: true }}");
        let lockout = "lockout: { limits: { by: ip_address, failures: 9, cool_off: 1h } }";
        let mut guard = Guard::start(&format!("{log}\n{lockout}\n{text}"), &upstream);
        let right = "right-and-secret";
        for password in [right, "hunter2-wrong"] {
            for ask in logins(password) {
                guard.ask(&ask);
            }
        }
        guard.terminate();
        guard.wait_for_exit();
        let log = guard.log();
        for event in ["login_failed", "login_succeeded", "locked_out", "refused"] {
            assert!(log.contains(event), "{event}: {log}");
        }
        for secret in ["hunter2", right, "aHVudGVy", "dTE6", "session=1"] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    }
}

#[test]
fn what_holds_a_password_for_a_moment_does_not_show_it() {
    use loginward::body::RequestBody;
    use loginward::policy::credentials::{Request, basic};
    use loginward::policy::key::{Fingerprinter, Keyer};
    let secret = "hunter2";
    let body = RequestBody::Whole(Some(format!("password={secret}").into()));
    let encoded = STANDARD.encode(format!("u1:{secret}"));
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
    let credentials = basic(&headers).unwrap();
    assert_eq!(credentials[0].secret(), b"u1:hunter2");
    let request = Request {
        names: &[],
        query: Some(secret),
        headers: &headers,
        body: Some(secret.as_bytes()),
    };
    let keyer = Keyer::new(*b"0123456789abcdef");
    let fingerprinter = Fingerprinter::new(*b"0123456789abcdef");
    let hash = fingerprinter.fingerprint("basic", &[secret.as_bytes()]);
    let shown =
        format!("{body:?} {credentials:?} {request:?} {keyer:?} {fingerprinter:?} {hash:?}");
    for secret in [secret, &encoded, "u1", "48, 49, 50"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}
