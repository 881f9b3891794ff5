//! Whose counters they are, however it was spelled, and what cannot be told.

use super::*;

const ALIASES: &str = "
sites:
  - name: shop
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: user }
        username_rewrite: [{ regex: '^@([^:]+):.*$', to: '$1' }]
        email_aliases: true
        password: { form: password }
        session_cookie: session
        outcome: { success: { status: 302 } }
";

/// Names as forms encode them.
fn spellings() -> Vec<String> {
    vec![
        "x".repeat(400),
        format!("{}%C3%A9", "a".repeat(127)),
        "Ren%C3%A9".to_owned(),
        "ren%E9-2".to_owned(),
        "CORP%5Ccarol".to_owned(),
        "dan%00iel".to_owned(),
        "%40erin%3Amatrix.test".to_owned(),
        "fa.y%2Btag%40gmail.com".to_owned(),
        "%20Gil%20%20Bert".to_owned(),
        "%F0%9F%98%80hal".to_owned(),
    ]
}

#[test]
fn every_spelling_of_a_name_is_the_same_account_at_the_other_guard() {
    let upstream = Upstream::shop();
    let settings = format!("{ALIASES}{LIMITS}");
    let (one, other) = (guard_with(&settings, &upstream), guard_with(&settings, &upstream));
    let mut client = 0;
    for name in spellings() {
        client += 1;
        guess(&one, &name, &format!("10.0.{client}.1"), 3);
        assert_eq!(log_in(&one, &name, &format!("10.0.{client}.1"), "right"), 403, "{name}");
    }
    let text = export(&one);
    assert!(!text.contains("\"lost\""), "{text}");
    let told = report(&other, &text);
    assert_eq!(told["counters"]["not_taken"], 0, "{told}");
    assert_eq!(rows(&one), rows(&other));
    client = 0;
    for name in spellings() {
        client += 1;
        assert_eq!(log_in(&other, &name, &format!("10.0.{client}.1"), "right"), 403, "{name}");
    }
    // so does whatever leaves there again
    let third = guard_with(&settings, &upstream);
    report(&third, &export(&other));
    assert_eq!(rows(&third), rows(&one));
}

#[test]
fn what_means_nothing_there_is_counted_and_named() {
    let upstream = Upstream::shop();
    let other_limits = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m, except: [10.9.0.0/16] }
    - { by: [ip_address], name: ip_network, failures: 20, cool_off: 1h }
    - { by: [username], failures: 30, cool_off: 15m }
client_address: { ipv6_prefix: 128 }
trusted_proxies: [\"127.0.0.0/8\"]
";
    let (one, other) = (guard(&upstream), guard_with(other_limits, &upstream));
    guess(&one, "ada", "2001:db8::7", 3);
    guess(&one, "bob", "10.9.0.1", 1);
    let text = export(&one);
    let lost = r#"{"counter":{"who":{"site":"shop","limit":"username","parameters":{"username":null},"lost":"session"},"failures":1,"latest_ms":-1,"forget_ms":9999}}
{"counter":{"who":{"site":"shop","limit":"username","parameters":{"username":"xx"},"lost":"name"},"failures":1,"latest_ms":-1,"forget_ms":9999}}
{"counter":{"who":{"site":"shop","limit":"username","parameters":{"username":"\u200b"}},"failures":1,"latest_ms":-1,"forget_ms":9999}}
{"lock":{"site":"closed down","until_ms":"never"}}
{"lock":{"lost":"counter","until_ms":"never"}}
{"end":"#;
    let text = text.replace("{\"end\":", lost);
    let text = text.replace("\"counters\":10,\"locks\":0", "\"counters\":13,\"locks\":2");
    let said = import(&other, &text);
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.starts_with("imported: 2 counters (2 new, "), "{}", said.out);
    for line in [
        "not taken: 1 of site \"shop\", limit \"username+ip_address\": the limit does not count that client here",
        "not taken: 1 of site \"shop\", limit \"username+ip_address\": addresses are told apart more finely here",
        "not taken: 2 of site \"shop\", limit \"ip_network\": a limit of that name counts by other parameters here",
        "not taken: 2 of site \"shop\", limit \"ip_address\": no such limit is configured here",
        "not taken: 2 of site \"shop\", limit \"agents\": no such limit is configured here",
        "not taken: 1 of site \"shop\", limit \"username\": only a session told the account",
        "not taken: 1 of site \"shop\", limit \"username\": too little is known of the username",
        "not taken: 1 of site \"shop\", limit \"username\": nothing is left of that username here",
        "not taken: 1 of site \"closed down\": no such site is configured here",
        "not taken: 1: the counter that was locked by hand was not there",
    ] {
        assert!(said.err.lines().any(|own| own == line), "{line}\n{}", said.err);
    }
    let told = report(&other, &text);
    assert_eq!(told["counters"]["not_taken"], 11, "{told}");
    assert_eq!(told["locks_by_hand"]["not_taken"], 2, "{told}");
}

#[test]
fn an_account_that_only_a_session_tells_is_said_to_be_one() {
    let upstream = Upstream::answering(|request| {
        let user = request.text().contains("user=");
        let cookie = if user { "Set-Cookie: sid=of-somebody-long\r\n" } else { "" };
        let status = if user { "302 Found" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nLocation: /app\r\n{cookie}Content-Length: 0\r\n\r\n")
    });
    let settings = "
lockout: { limits: { by: username, failures: 3, cool_off: 10m } }
sites:
  - name: shop
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        session_cookie: sid
        outcome: { success: { status: 302 } }
      - path: /code
        password: { form: code }
        session_cookie: sid
        outcome: { success: { status: 302 } }
";
    let (one, other) = (guard_with(settings, &upstream), guard_with(settings, &upstream));
    assert_eq!(one.client().log_in("ada", "right").status, 302);
    one.ask(&Ask::form("/code", "code=1").with("Cookie", "sid=of-somebody-long"));
    let text = export(&one);
    assert!(text.contains(r#""parameters":{"username":null},"lost":"session""#), "{text}");
    let said = import(&other, &text);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.err.contains("only a session told the account"), "{}", said.err);
}

#[test]
fn a_spelling_that_cannot_be_told_is_none_that_a_success_clears() {
    let upstream = Upstream::shop();
    let (one, other) = (guard(&upstream), guard(&upstream));
    let long = "y".repeat(200);
    guess(&one, &long, "203.0.113.7", 2);
    let said = import(&other, &export(&one));
    assert_eq!(said.status, 0);
    assert!(
        said.err.contains("of 3 counters the spelling of the username is not known"),
        "{}",
        said.err
    );
    assert_eq!(log_in(&other, &long, "203.0.113.7", "right"), 302);
    assert!(rows(&other).iter().any(|row| row.contains("yyy\"} 2 3")), "{:#?}", rows(&other));
}
