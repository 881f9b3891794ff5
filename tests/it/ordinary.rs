//! Never a false alarm: what ordinary clients send passes as without the guard, unchanged and
//! unbuffered.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Request, Upstream};

const MIB: usize = 1024 * 1024;

/// One failure locks.
const SITE: &str = r#"
lockout: { limits: [{ by: ip_address, failures: 1, cool_off: 10m }, { by: username, failures: 1, cool_off: 10m }] }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: [{ form: user }, { json: /user }]
        password: [{ form: password }, { json: /password }]
        session_cookie: session
        outcome: { success: { status: [200, 302], set_cookie: session } }
      - path: "/dav/*"
        username: { basic: true }
"#;

/// An application that lets everybody in who sends `right` as a password, in whatever format.
fn application() -> Upstream {
    Upstream::answering(|request| {
        let text = request.text();
        let is_login = request.target.starts_with("/login") && request.method == "POST";
        let is_right = ["right", "p%C3%A4ss", "pässwörd"].iter().any(|word| text.contains(word));
        match (is_login, is_right) {
            (true, true) => "HTTP/1.1 302 Found\r\nLocation: /app\r\nSet-Cookie: session=1\r\n\
                             Content-Length: 0\r\n\r\n"
                .to_owned(),
            (true, false) => ok("wrong password"),
            (false, _) => ok("hello"),
        }
    })
}

/// What of a request has to arrive as it was sent.
#[track_caller]
fn check_unchanged(request: &Request, fields: &[(&str, &str)], body: &[u8]) {
    for (name, value) in fields {
        assert_eq!(request.fields.all(name), [*value], "{name}");
    }
    assert_eq!(request.body.bytes, body);
}

const CHROME: &[(&str, &str)] = &[
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("Origin", "http://shop.test"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
    ("Referer", "http://shop.test/login?next=%2Fapp"),
    ("Accept-Language", "de-DE,de;q=0.9,en-US;q=0.8"),
    ("Cookie", "csrftoken=abc; theme=dark; _ga=GA1.1.1; session=old"),
    ("DNT", "1"),
    ("Priority", "u=0, i"),
];

const FIREFOX: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Origin", "null"),
    ("Sec-GPC", "1"),
    ("Cookie", "session=\"quoted value\"; session_hint=1"),
];

#[test]
fn browsers_log_in_as_ever() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for fields in [CHROME, FIREFOX] {
        let with = |ask: Ask| fields.iter().fold(ask, |ask, (name, value)| ask.with(name, value));
        let page = with(Ask::get("/login?next=%2Fapp")).with("If-None-Match", "\"x\"");
        let page = page.with("Accept-Encoding", "gzip, deflate, br, zstd");
        assert_eq!(guard.ask(&page).status, 200);
        let got = upstream.requests().pop().unwrap();
        check_unchanged(&got, &[fields, &[("If-None-Match", "\"x\"")]].concat(), b"");
        let form = "csrfmiddlewaretoken=tok%2B%2F&user=alice%40example.com&password=right%26+%25&remember=on&next=%2Fapp&submit=Log+in";
        for _ in 0..5 {
            assert_eq!(guard.ask(&with(Ask::form("/login?next=%2Fapp", form))).status, 302);
            check_unchanged(&upstream.requests().pop().unwrap(), fields, form.as_bytes());
        }
    }
}

#[test]
fn what_password_managers_and_scripts_add_is_no_matter() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for form in [
        "user=alice&password=right&password_confirm=&otp=&current-password=",
        "user=alice&password=right&hidden=",
        "user=alice&password=right&user_agent=x&username2=eve&users=bob",
        "user=alice&password=right&",
        "password=right&user=alice",
        "user=alice&password=right\r\n",
        "_charset_=UTF-8&user=alice&password=right",
    ] {
        assert_eq!(guard.ask(&Ask::form("/login", form)).status, 302, "{form}");
        assert_eq!(upstream.requests().pop().unwrap().text(), form);
    }
}

#[test]
fn names_and_passwords_may_be_in_any_script() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for name in [
        "m%C3%BCller",
        "%F0%9F%A6%8A",
        "%E5%B1%B1%E7%94%B0",
        "%D0%98%D0%B2%D0%B0%D0%BD",
        "o%27brien",
        "a+b",
        "m%FCller",
    ] {
        for password in
            ["right%E2%82%AC%F0%9F%94%91", "right%00%FF%FE", "right%3D%26%2B%25", "right%20%20"]
        {
            let form = format!("user={name}&password={password}");
            assert_eq!(guard.ask(&Ask::form("/login", &form)).status, 302, "{form}");
            assert_eq!(upstream.requests().pop().unwrap().text(), form);
        }
    }
    let latin = Ask::new("POST", "/login").body(
        "application/x-www-form-urlencoded; charset=iso-8859-1",
        b"user=m\xfcller&password=right\xdf",
    );
    assert_eq!(guard.ask(&latin).status, 302);
    assert_eq!(upstream.requests().pop().unwrap().body.bytes, b"user=m\xfcller&password=right\xdf");
}

#[test]
fn json_clients_log_in_as_ever() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for body in [
        r#"{"user":"alice","password":"right"}"#,
        r#"{ "user": "m\u00fcller", "password": "right\ud83d\udd11", "remember": true, "device": {"id": 1, "user": {"x": []}} }"#,
        "{\"user\":\"山田\",\"password\":\"pässwörd 🔑\"}",
    ] {
        let ask = Ask::new("POST", "/login").with("Accept", "application/json, text/plain, */*");
        let ask = ask.body("application/json;charset=UTF-8", body);
        assert_eq!(guard.ask(&ask).status, 302, "{body}");
        assert_eq!(upstream.requests().pop().unwrap().text(), body);
    }
}

#[test]
fn a_preflight_is_no_attempt() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for _ in 0..5 {
        let ask = Ask::new("OPTIONS", "/login").with("Origin", "http://app.test");
        let ask = ask.with("Access-Control-Request-Method", "POST");
        let ask = ask.with("Access-Control-Request-Headers", "content-type,x-requested-with");
        assert_eq!(guard.ask(&ask).status, 200);
    }
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 0);
}

#[test]
fn a_login_form_may_bring_a_file() {
    let upstream = application();
    let guard = Guard::start(SITE, &upstream);
    for size in [10, 10_000, 50_000] {
        let body = format!(
            "--B7\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nalice\r\n\
             --B7\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nright\r\n\
             --B7\r\nContent-Disposition: form-data; name=\"cert\"; filename=\"my key.pem\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{}\r\n--B7--\r\n",
            "\u{0}x\r\n-".repeat(size / 5),
        );
        let ask = Ask::new("POST", "/login").body("multipart/form-data; boundary=B7", &body);
        assert_eq!(guard.ask(&ask).status, 302);
        assert_eq!(upstream.requests().pop().unwrap().text(), body);
    }
}

#[test]
fn uploads_of_any_size_stream_through() {
    let upstream = Upstream::answering(|request| ok(&request.body.bytes.len().to_string()));
    let guard = Guard::start(SITE, &upstream);
    let basic = format!("Basic {}", BASE64_STANDARD.encode("alice:right"));
    let body: Vec<u8> = (0..50 * MIB).map(|at| (at / 7 + at / 301) as u8).collect();
    let before = guard.memory();
    for (method, target, credentials) in [
        ("PUT", "/dav/backup.tar", true),
        ("PUT", "/manager/deploy?path=/app", false),
        ("POST", "/repo.git/git-receive-pack", false),
        ("POST", "/login-images/upload", false),
    ] {
        let ask = Ask::new(method, target);
        let ask = if credentials { ask.with("Authorization", &basic) } else { ask };
        let answer = guard.ask(&ask.body("application/octet-stream", &body));
        assert_eq!((answer.status, answer.text()), (200, body.len().to_string()), "{target}");
        assert!(upstream.requests().pop().unwrap().body.bytes == body, "{target} arrived changed");
    }
    let grown = guard.memory().saturating_sub(before);
    assert!(grown < 10 * MIB, "{grown} bytes");
}

#[test]
fn polls_and_token_refreshes_are_no_attempts() {
    let upstream = Upstream::answering(|request| match request.target.as_str() {
        "/login/refresh" => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => ok("{}"),
    });
    let guard = Guard::start(SITE, &upstream);
    for at in 0..20 {
        let refresh = Ask::new("POST", "/login/refresh")
            .body("application/json", r#"{"refresh_token":"abc"}"#);
        assert_eq!(guard.ask(&refresh).status, 401);
        assert_eq!(guard.ask(&Ask::get("/login/status?poll=1")).status, 200);
        assert_eq!(guard.ask(&Ask::get("/login")).status, 200, "{at}");
    }
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 0);
    assert_eq!(upstream.hits(), 60);
}

#[test]
fn a_site_that_posts_everything_to_one_path_is_guarded_there_alone() {
    let everything = SITE.replace("path: /login", "path: /");
    let upstream = Upstream::answering(|request| {
        let text = request.text();
        if text.contains("password=right") {
            return "HTTP/1.1 302 Found\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n"
                .to_owned();
        }
        ok("page")
    });
    let guard = Guard::start(&everything, &upstream);
    for form in
        ["search=shoes", "user=alice&comment=hello", "cart[]=1&cart[]=2", "", "action=logout"]
    {
        for _ in 0..3 {
            assert_eq!(guard.ask(&Ask::form("/", form)).status, 200, "{form}");
            assert_eq!(upstream.requests().pop().unwrap().text(), form);
        }
    }
    for text in ["Dear,\npassword\nis lost", "id;user;password\n1;2;3", "comment=hi;password&x=1"] {
        assert_eq!(guard.ask(&Ask::new("POST", "/").body("text/plain", text)).status, 200);
    }
    let body = vec![b'x'; 3 * MIB];
    assert_eq!(guard.ask(&Ask::new("POST", "/").body("image/png", &body)).status, 200);
    assert_eq!(guard.ask(&Ask::form("/", "user=alice&password=right")).status, 302);
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 1);
}

#[test]
fn ordinary_requests_keep_their_upstream_connection() {
    let upstream = application();
    let guard = Guard::start(&format!("workers: 1\n{SITE}"), &upstream);
    let mut client = guard.client();
    for at in 0..20 {
        client.get(&format!("/page/{at}"));
        client.ask(&Ask::form("/search", "q=shoes&page=%2F"));
        client.ask(&Ask::form("/login", "user=alice&password=right"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn remembered_credentials_in_cookies_are_no_attempts() {
    let everywhere = SITE.replace("path: /login", "path: [/login, \"/*\"]");
    let upstream = Upstream::hello();
    let guard = Guard::start(&everywhere, &upstream);
    for target in ["/page", "/login", "/profile"] {
        for _ in 0..4 {
            let ask = Ask::get(target).with("Cookie", "user=alice; password=0a1b2c");
            assert_eq!(guard.ask(&ask).status, 200, "{target}");
        }
    }
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 0);
}

#[test]
fn texts_in_which_a_fields_name_stands_are_no_attempts() {
    let everywhere = SITE.replace("path: /login", "path: \"/*\"");
    let upstream = Upstream::hello();
    let guard = Guard::start(&everywhere, &upstream);
    for (method, kind, body) in [
        ("POST", "application/json", "{\"index\":{}}\n{\"message\":\"bad password\"}\n"),
        ("PUT", "text/plain", "{{password}} template"),
        ("PUT", "application/rtf", "{\\rtf1 my password}"),
        ("PUT", "text/javascript", "{ let password; }"),
    ] {
        for _ in 0..3 {
            assert_eq!(guard.ask(&Ask::new(method, "/x").body(kind, body)).status, 200, "{body}");
        }
    }
    let search = "/?q=%E2%84%96%3Ba%2F%2F..%2F%2F%255c%253f%2523%25252f";
    assert_eq!(guard.ask(&Ask::get(search)).status, 200);
}

#[test]
fn a_right_login_at_a_path_in_another_case_is_right() {
    let rule = SITE.replace("path: /login", "path: /login.aspx");
    let rule = rule.replace(
        "success: { status: [200, 302], set_cookie: session }",
        "success: { status: 302, location: \"/app*\" }",
    );
    let upstream = Upstream::answering(
        |_| "HTTP/1.1 302 Found\r\nLocation: app/home\r\nContent-Length: 0\r\n\r\n",
    );
    let guard = Guard::start(&rule, &upstream);
    for _ in 0..3 {
        assert_eq!(guard.ask(&Ask::form("/Login.aspx", "user=alice&password=right")).status, 302);
    }
    assert!(guard.events("login_failed").is_empty());
}
