//! Who a client is, however it dresses up.

use crate::support::{Ask, Client, Guard, Upstream};

/// Three failures of an address lock it.
const THREE: &str = r#"
lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;

/// One client guesses with other header fields each time, for other accounts each time: three
/// guesses are all that get through.
#[track_caller]
fn check(configuration: &str, forwarded: &str, disguises: &[&str]) {
    let upstream = Upstream::shop();
    let guard = Guard::start(configuration, &upstream);
    for (at, disguise) in disguises.iter().cycle().take(disguises.len().max(12)).enumerate() {
        let form = format!("username=user{at}&password=x");
        let head =
            "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded";
        let disguise = disguise.replace("{n}", &at.to_string());
        let separator = if disguise.is_empty() { "" } else { "\r\n" };
        let request = format!(
            "{head}{separator}{disguise}{forwarded}\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let mut client = guard.client();
        client.send(&request);
        client.answer_head();
    }
    assert!(upstream.hits() <= 3, "{} of {disguises:?}", upstream.hits());
}

#[test]
fn a_stranger_is_its_address() {
    for name in [
        "X-Forwarded-For",
        "X_Forwarded_For",
        "x-forwarded_for",
        "Forwarded-For",
        "X-Forwarded",
        "Forwarded",
        "X-Real-IP",
        "X_Real_IP",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Fastly-Client-IP",
        "X-Cluster-Client-IP",
        "X-Originating-IP",
        "X-Remote-IP",
        "X-Remote-Addr",
        "X-Azure-ClientIP",
        "Via",
        "X-ProxyUser-Ip",
        "WL-Proxy-Client-IP",
        "From",
        "Host2",
        "X-Host",
    ] {
        let plain = format!("{name}: 203.0.113.{{n}}");
        let several = format!("{name}: 203.0.113.{{n}}\r\n{name}: 198.51.100.{{n}}");
        let chain = format!("{name}: 203.0.113.{{n}}, 127.0.0.1");
        let node = format!("{name}: for=203.0.113.{{n}};proto=https");
        check(THREE, "", &[&plain, &several, &chain, &node]);
    }
}

#[test]
fn nothing_else_that_changes_makes_another_client() {
    check(
        THREE,
        "",
        &[
            "User-Agent: agent {n}",
            "Cookie: id={n}",
            "Accept-Language: x-{n}",
            "Authorization: Bearer {n}",
            "X-Request-Id: {n}",
            "Connection: close, X-Forwarded-For",
            "Connection: X-Real-IP\r\nX-Real-IP: 203.0.113.{n}",
            "Connection: close",
            "X-Device: {n}\r\nX-Session: {n}",
        ],
    );
}

#[test]
fn behind_a_trusted_proxy_the_client_is_who_the_proxy_names() {
    let trusting = format!("trusted_proxies: [127.0.0.1, 10.0.0.0/8]\n{THREE}");
    let proxy = "\r\nX-Forwarded-For: 203.0.113.9";
    let disguises = [
        "X-Forwarded-For: 198.51.100.{n}",
        "X-Forwarded-For: 198.51.100.{n}, 10.0.0.{n}",
        "X-Forwarded-For: unknown",
        "X-Forwarded-For: ,,, ,",
        "X-Forwarded-For: _hidden{n}",
        "X-Forwarded-For: \"198.51.100.{n}",
        "X-Forwarded-For: 198.51.100.{n}\r\nX-Forwarded-For: 198.51.100.{n}",
        "X_Forwarded_For: 198.51.100.{n}",
        "X-Real-IP: 198.51.100.{n}\r\nForwarded: for=198.51.100.{n}",
        "Connection: X-Forwarded-For",
        "",
    ];
    check(&trusting, proxy, &disguises);
    for spelling in [
        "203.0.113.9:{n}00",
        "::ffff:203.0.113.9",
        "[::ffff:203.0.113.9]:9{n}",
        "0:0:0:0:0:ffff:203.0.113.9",
        " 203.0.113.9 ",
        "203.0.113.9, 10.1.2.{n}",
        "203.0.113.9,,10.1.2.{n},",
    ] {
        let line = format!("\r\nX-Forwarded-For: {spelling}");
        check(&trusting, &line.replace("{n}", "1"), &["A: b"]);
    }
    let host = "\r\nX-Forwarded-For: 2001:db8:1:2:{n}::7";
    check(&trusting, &host.replace("{n}", "a"), &["A: {n}"]);
}

#[test]
fn addresses_of_one_network_are_one_client() {
    let trusting = format!("trusted_proxies: 127.0.0.1\n{THREE}");
    let upstream = Upstream::shop();
    let guard = Guard::start(&trusting, &upstream);
    for at in 0..10 {
        let ask = Ask::form("/login", &format!("username=u{at}&password=x"));
        guard.ask(&ask.with("X-Forwarded-For", &format!("2001:db8:1:2:{at}:{at}::{at}")));
    }
    assert_eq!(upstream.hits(), 3, "of one /64");
    let ask = Ask::form("/login", "username=x&password=x");
    guard.ask(&ask.with("X-Forwarded-For", "2001:db8:1:3::1"));
    assert_eq!(upstream.hits(), 4);
}

#[test]
fn a_proxy_protocol_that_nobody_asked_for_is_no_http() {
    let upstream = Upstream::shop();
    let guard = Guard::start(THREE, &upstream);
    let login = Ask::form("/login", "username=x&password=x").bytes();
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x7f\0\0\x01\0\x01\0\x50";
    for prefix in [&b"PROXY TCP4 6.6.6.6 127.0.0.1 1 80\r\n"[..], b"PROXY UNKNOWN\r\n", binary] {
        let mut client = Client::to(&guard);
        client.send([prefix, &login].concat());
        let status = client.answer_head().map(|answer| answer.status);
        assert!(status.is_none_or(|status| status == 400), "{status:?}");
    }
    assert_eq!(upstream.hits(), 0);
}
