//! What single frameworks and servers do that nobody else does.

use super::{GUESS, ONE, Sealed, post};
use crate::support::{Ask, Guard, Upstream};

const FORM: &str = "application/x-www-form-urlencoded";

fn typed(target: &str, kind: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    Ask::new("POST", target).body(kind, body).bytes()
}

/// A rule for many paths, which asks for credentials.
fn below(prefix: &str) -> String {
    ONE.replace("path: /login", &format!("path: [/login, \"{prefix}*\"]"))
}

#[test]
fn gunicorn_and_flask_take_a_part_of_the_path_from_a_header() {
    let sealed = Sealed::new();
    for name in ["SCRIPT_NAME", "Script-Name", "PATH_INFO", "X-Script-Name", "x_script_name"] {
        let request = sealed.passes(&Ask::form("/x/login", "a=b").with(name, "/x"));
        assert!(request.fields.all(name).is_empty(), "{name} goes upstream");
    }
}

#[test]
fn php_without_a_php_ini_lets_cookies_win() {
    let sealed = Sealed::new();
    for cookie in
        ["username=victim", "a=b; username=victim", "USERNAME=%76ictim", "username[]=victim"]
    {
        let form = Ask::form("/login", "username=decoy&password=x").with("Cookie", cookie);
        sealed.stops(form.bytes());
    }
    let narrowed = ONE.replace(
        "        username:",
        "        when: { field: { action: login } }\n        username:",
    );
    let upstream = Upstream::shop();
    let guard = Guard::start(&narrowed, &upstream);
    let first = Ask::form("/login", &format!("action=login&{GUESS}"));
    assert_eq!(guard.ask(&first).verdict(), (403, "locked"));
    let by_cookie = Ask::form("/login", GUESS).with("Cookie", "action=login");
    assert_eq!(guard.ask(&by_cookie).verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn json_is_read_whatever_its_type_and_however_odd() {
    let sealed = Sealed::new();
    let deep = format!(
        "{{\"a\":{}{},\"username\":\"victim\",\"password\":\"x\"}}",
        "[".repeat(70),
        "]".repeat(70)
    );
    for kind in
        ["text/html", "application/octet-stream", "image/png", "text/plain", "application/json"]
    {
        sealed.stops(typed("/login", kind, &deep));
        sealed.stops(typed("/login", kind, r#"{"a":NaN,"username":"victim","password":"x"}"#));
        sealed.stops(typed("/login", kind, r#"[{username:"victim",password:"x"}]"#));
    }
}

#[test]
fn json_on_paths_that_serve_other_things_too_is_not_hidden_by_oddities() {
    let sealed = Sealed::with(&below("/api/"));
    let filler = "x".repeat(70_000);
    let wide = |bytes: fn(u16) -> [u8; 2]| {
        r#"{"username":"victim","password":"x"}"#.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let (little, big) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
    let utf32: Vec<u8> = r#"{"username":"victim","password":"x"}"#.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for target in ["/api/session", "/login.json", "/login/x"] {
        for body in [&little, &big, &utf32, &[&[0xff, 0xfe][..], &little].concat()] {
            sealed.stops(typed(target, "application/json", body));
        }
        for body in [
            "{username:'victim',password:'x'}",
            "{'username':'victim','password':'x'}",
            r#"{"x":"\ud800","username":"victim","pa\u017f\u017fword":"x"}"#,
            r#"{"x":"\ud800","username":"victim","\u0070assword":"x"}"#,
            r#"{"x":NaN,"username":"victim","password":"x"}"#,
            "{/* c */username:\"victim\",password:\"x\"}",
        ] {
            sealed.stops(typed(target, "application/json", body));
        }
    }
    for body in [
        format!("{{f:'{filler}',username:'victim',password:'x'}}"),
        format!("{{\"f\":\"{filler}\",\"username\":\"victim\",\"pa\\u017f\\u017fword\":\"x\"}}"),
    ] {
        let mut client = crate::support::Client::from("127.0.0.2", &sealed.guard);
        client.send(typed("/api/session", "application/json", body));
        client.answer_head();
    }
    let through =
        sealed.upstream.requests().into_iter().filter(|request| request.text().contains("sword"));
    assert_eq!(through.count(), 1);
}

#[test]
fn parts_are_named_in_ways_of_old() {
    let everywhere = below("/");
    let parts = |head: &str| {
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nvictim\r\n--B\r\n{head}\r\n\r\nx\r\n--B--\r\n"
        )
    };
    let sealed = Sealed::with(&everywhere);
    for head in [
        "Content-Disposition: form-data; name*=utf-8'en'password",
        "Content-Disposition: form-data; name*=iso-8859-1''password",
        "Content-Disposition: form-data; name*=cp037''%97%81%A2%A2%A6%96%99%84",
        "Content-Disposition: form-data; name=\"=?UTF-8?B?cGFzc3dvcmQ=?=\"",
        "Content-Disposition: form-data; name=\"p\\assword\"",
    ] {
        for target in ["/anything", "/login.json", "/login"] {
            sealed.stops(typed(target, "multipart/form-data; boundary=B", parts(head)));
            let preamble = format!("preamble\r\n{}", parts(head));
            sealed.stops(typed(target, "multipart/form-data; boundary=B", preamble));
        }
    }
    let sealed = Sealed::new();
    for head in [
        "Content-ID: username",
        "Content-Disposition: attachment; name=\"username\"",
        "Content-Disposition: form-data; name=\"\"\r\nContent-Type: username",
        "Content-Disposition: form-data; name=\"=?UTF-8?B?dXNlcm5hbWU=?=\"",
    ] {
        let body = format!(
            "--B\r\n{head}\r\n\r\nvictim\r\n--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nx\r\n--B--\r\n"
        );
        for kind in [
            "multipart/form-data; boundary=B",
            "multipart/mixed; boundary=B",
            "multipart/related; boundary=B",
        ] {
            sealed.stops(typed("/login", kind, &body));
        }
    }
}

#[test]
fn model_binders_take_names_behind_a_prefix() {
    let sealed = Sealed::new();
    for form in [
        "model.UserName=victim&model.Password=x",
        "model.username=victim&password=x",
        "viewModel[username]=victim&password=x",
        "a.b.username=victim&password=x",
        "!username=victim&!password=x",
        "!username=victim&password=x",
    ] {
        sealed.stops(post("/login", form));
    }
    let json =
        r#"{"model":{"username":"victim","password":"x"},"username":"decoy","password":"x"}"#;
    sealed.stops(typed("/login", "application/json", json));
    let nested = ONE
        .replace("form: username", "form: \"session[email]\"")
        .replace("form: password", "form: \"session[password]\"");
    let upstream = Upstream::shop();
    let guard = Guard::start(&nested, &upstream);
    let first = Ask::form("/login", "session[email]=victim&session[password]=x");
    assert_eq!(guard.ask(&first).verdict(), (403, "locked"));
    let wrapped =
        Ask::new("POST", "/login").body("application/json", r#"{"email":"victim","password":"x"}"#);
    assert_eq!(guard.ask(&wrapped).verdict(), (403, "locked"), "Rails wraps parameters");
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_username_in_a_header_is_one_under_underscores() {
    let by_header = ONE.replace("{ form: username }", "{ header: x-user }");
    let upstream = Upstream::shop();
    let guard = Guard::start(&by_header, &upstream);
    let guess = |fields: &[(&str, &str)]| {
        let ask = Ask::form("/login", "password=x");
        let answer =
            guard.ask(&fields.iter().fold(ask, |ask, (name, value)| ask.with(name, value)));
        (answer.status, answer.verdict().1.to_owned())
    };
    let locked = (403, "locked".to_owned());
    assert_eq!(guess(&[("X-User", "victim")]), locked);
    assert_eq!(guess(&[("X-User", "decoy"), ("X_User", "victim")]), locked);
    assert_eq!(guess(&[("x_user", "victim")]), locked);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn front_controllers_take_their_route_from_the_query() {
    let sealed = Sealed::new();
    for target in [
        "/?/login",
        "/index.php?/login",
        "/index.php?/LOGIN&x=y",
        "/?q=login",
        "/index.php?route=login",
        "/?r=%2Flogin",
        "/index.php?s=/login",
        "/?_url=/login",
        "/?.url=login",
        "/?%20q=login",
        "/?+q=+login+",
        "/?q%00x=login",
        "/index?q=login",
    ] {
        sealed.stops(post(target, GUESS));
    }
    sealed.passes(&Ask::form("/?next=/login", "a=b"));
    sealed.passes(&Ask::form("/?q=login", "a=b"));
}

#[test]
fn a_batch_that_succeeds_is_not_free() {
    let five = ONE.replace("failures: 1", "failures: 5").replace("status: 302", "status: 200");
    let upstream = Upstream::answering(|_| crate::support::upstream::ok("welcome, me"));
    let guard = Guard::start(&five, &upstream);
    let batch = |n: usize| {
        let body = format!(
            r#"[{{"username":"me","password":"mine"}},{{"username":"victim","password":"{n}"}}]"#
        );
        guard.ask(&Ask::new("POST", "/login").body("application/json", body)).status
    };
    let through = (0..12).filter(|n| batch(*n) == 200).count();
    assert!(through <= 4, "{through}");
    assert!(upstream.hits() <= 5);
}

#[test]
fn databases_that_cannot_store_a_name_whole_are_no_way_round() {
    let sealed = Sealed::new();
    for name in [
        "victim%F0%9F%98%80",
        "%F0%9F%98%80victim",
        "vic%F0%9F%A6%8Atim",
        "victim%F0%9F%98%80anything",
        "vic%EF%BF%BCtim",
        "victim++++++++++++++++++++++++++++++++++++++++++++++++++1",
        "victim%20%20%20%20%20%20%20%20%20%20%20%20%20%20%20%202",
        "victim%C2%A0%C2%A0%C2%A0%C2%A0%C2%A0%C2%A0%C2%A0%C2%A03",
    ] {
        sealed.stops(post("/login", format!("username={name}&password=x")));
    }
    let upstream = Upstream::shop();
    let guard = Guard::start(ONE, &upstream);
    let fox = Ask::form("/login", "username=%F0%9F%A6%8A&password=x");
    assert_eq!(guard.ask(&fox).verdict(), (403, "locked"), "a name of one sign is one, too");
    let owl = Ask::new("POST", "/login").body(FORM, "username=%F0%9F%A6%89&password=right");
    assert_eq!(guard.ask(&owl).status, 302);
}

#[test]
fn two_rules_of_one_request_are_charged_together() {
    let rules = ONE.replace(
        "        outcome: { success: { status: 302 } }\n",
        "        outcome: { success: { status: 302 } }\n      - { path: \"/*\", username: { basic: true } }\n",
    );
    let sealed = Sealed::with(&rules);
    let both = Ask::form("/login", "username=decoy&password=z");
    sealed.stops(both.with("Authorization", "Basic dmljdGltOng=").bytes());
    let by_query = ONE.replace(
        "        username: { form: username }\n        password: { form: password }\n",
        "        when: { query: { do: login } }\n        username: { form: username }\n        password: { form: password }\n",
    );
    let by_query = by_query.replace(
        "        outcome: { success: { status: 302 } }\n",
        "        outcome: { success: { status: 302 } }\n      - name: api\n        path: /login\n        when: { query: { do: api } }\n        username: { form: email }\n        password: { form: key }\n        outcome: { success: { status: 302 } }\n",
    );
    let upstream = Upstream::shop();
    let guard = Guard::start(&by_query, &upstream);
    assert_eq!(
        guard.ask(&Ask::form("/login?do=api", "email=victim&key=x")).verdict(),
        (403, "locked")
    );
    let mixed = "username=decoy&password=z&email=victim&key=guess";
    assert_eq!(guard.ask(&Ask::form("/login?do=login&do=api", mixed)).verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn asp_reads_forms_its_own_way() {
    let sealed = Sealed::new();
    for form in [
        "username=v%ictim&password=x",
        "username=v%%ictim&password=x",
        "username=victi%m%&password=x",
        "user%name=victim&password=x",
        "_charset_=IBM037&username=%A5%89%83%A3%89%94&password=x",
        "_charset_=utf-16&username=victim&password=x",
    ] {
        sealed.stops(post("/login", form));
    }
    let charset = Ask::form("/other", "a=b").with("User-Agent", "UP.Browser");
    let request = sealed.passes(&charset.with("x-up-devcap-post-charset", "ibm037"));
    assert!(!request.fields.has("x-up-devcap-post-charset"));
    sealed.passes(&Ask::form("/login", "_charset_=UTF-8&username=alice&password=right"));
}

#[test]
fn xml_is_not_read_and_not_passed() {
    let sealed = Sealed::new();
    for kind in ["application/xml", "text/xml; charset=utf-8", "application/soap+xml"] {
        let body = "<Login><username>victim</username><password>x</password></Login>";
        let ask = Ask::new("POST", "/login").body(kind, body);
        assert_eq!(sealed.guard.ask(&ask).verdict(), (415, "refused"), "{kind}");
    }
}

#[test]
fn an_upstream_with_other_blanks_sees_no_second_request() {
    let upstream = Upstream::answering(|_| crate::support::upstream::ok("hello"));
    let guard = Guard::start("workers: 1", &upstream);
    for blank in ["\u{a0}", "\u{85}", "\u{1c}", "\u{1f}"] {
        let body = format!("POST{blank}/login?username=victim&password=x{blank}HTTP/1.1\r\n\r\n");
        guard.ask(&Ask::new("POST", "/static").body("text/plain", &body));
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.get("connection"), Some("close"), "{blank:?}");
    }
}
