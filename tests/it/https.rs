//! From HTTP in the clear to TLS: redirects without loops or detours, and what browsers are told.

use crate::support::upstream::ok;
use crate::support::{Answer, Ask, Authority, Client, Ends, Guard, Http2, Setup, Upstream};

const REDIRECT: &str = "listen: { address: \"127.0.0.1:0\", redirect_to_https: true }\n";
const SITES: &str = "sites: [{ hosts: [shop.test, \"*.shop.test\"], upstream: \"{UPSTREAM}\", logins: \
                     [{ path: /login, username: { form: user }, password: { form: password }, \
                     outcome: { success: { status: 302 } } }] }]\n";

#[track_caller]
fn check(answer: &Answer, status: u16, location: &str) {
    assert_eq!((answer.status, answer.get("location")), (status, Some(location)), "{answer:?}");
}

#[test]
fn requests_in_the_clear_are_sent_to_the_same_with_tls() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{REDIRECT}{SITES}"), &upstream);
    let mut client = guard.client();
    check(&client.get("/a/b?c=d&e=%2f"), 301, "https://shop.test/a/b?c=d&e=%2f");
    check(&client.ask(&Ask::new("HEAD", "/")), 301, "https://shop.test/");
    check(&client.ask(&Ask::new("DELETE", "/x")), 308, "https://shop.test/x");
    let raw = |request: &str| guard.client().send(request).answer();
    let at = |host: &str| raw(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    check(&at("shop.test:8080"), 301, "https://shop.test/x");
    check(&at("WWW.shop.test."), 301, "https://WWW.shop.test./x");
    check(
        &raw("GET http://shop.test/y HTTP/1.1\r\nHost: evil\r\n\r\n"),
        301,
        "https://shop.test/y",
    );
    check(&raw("OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n"), 308, "https://shop.test/");
    for host in ["evil.test", "shop.test.evil.test", "evilshop.test"] {
        assert_eq!(at(host).verdict(), (421, "refused"), "{host}");
    }
    assert_eq!(raw("GET / HTTP/1.0\r\n\r\n").verdict(), (400, "refused"), "there is no host");
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn the_port_may_be_another_and_hosts_may_be_addresses() {
    let upstream = Upstream::hello();
    let listen = "listen: { address: \"127.0.0.1:0\", redirect_to_https: { port: 8443 } }";
    let guard = Guard::start(listen, &upstream);
    for (host, expected) in [
        ("shop.test", "https://shop.test:8443/"),
        ("[2001:db8::1]:80", "https://[2001:db8::1]:8443/"),
        ("[2001:db8::1]", "https://[2001:db8::1]:8443/"),
        ("10.0.0.1:", "https://10.0.0.1:8443/"),
    ] {
        let ask = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        check(&guard.client().send(ask).answer(), 301, expected);
    }
}

#[test]
fn a_login_in_the_clear_reaches_nobody_and_counts_nothing() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{REDIRECT}{SITES}"), &upstream);
    for _ in 0..10 {
        check(&guard.client().log_in("bob", "wrong"), 308, "https://shop.test/login");
    }
    let mut client = guard.client();
    let unfinished =
        "POST /login HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100000\r\n\r\nuser=b";
    check(&client.send(unfinished).answer(), 308, "https://shop.test/login");
    assert_eq!(upstream.hits(), 0);
    assert_eq!(guard.metric("loginward_attempts_total", "") as u32, 0);
    assert_eq!(guard.events("login_failed").len(), 0);
}

#[test]
fn authorities_for_certificates_are_answered_in_the_clear_and_nobody_else() {
    let upstream = Upstream::hello();
    let guard = Guard::start(&format!("{REDIRECT}{SITES}"), &upstream);
    let challenge = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA";
    assert_eq!(guard.client().get(challenge).text(), "hello");
    assert_eq!(guard.ask(&Ask::new("HEAD", challenge)).status, 200);
    assert_eq!(upstream.hits(), 2);
    for target in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge",
        "/.well-known/acme-challenge/../../login",
        "/.well-known/acme-challenge/%2e%2e/%2e%2e/login",
        "/.well-known/acme-challenge/..%2f..%2flogin",
        "/.well-known/acme-challenge/a/b",
        "/.well-known/acme-challenge/a?user=bob&password=x",
        "/.well-known/acme-challenge/a;x",
        "//.well-known/acme-challenge/a",
        "/x/.well-known/acme-challenge/a",
    ] {
        check(&guard.client().get(target), 301, &format!("https://shop.test{target}"));
    }
    check(&guard.ask(&Ask::form(challenge, "a=b")), 308, &format!("https://shop.test{challenge}"));
    let basic = Ask::get(challenge).with("Authorization", "Basic Ym9iOng=");
    check(&guard.ask(&basic), 301, &format!("https://shop.test{challenge}"));
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn where_a_trusted_proxy_speaks_tls_there_is_no_loop() {
    let upstream = Upstream::hello();
    let guard = Guard::start(&format!("{REDIRECT}trusted_proxies: 127.0.0.9\n"), &upstream);
    let ask = |from: &str, name: &str, value: &str| {
        Client::from(from, &guard).ask(&Ask::get("/").with(name, value))
    };
    assert_eq!(ask("127.0.0.9", "X-Forwarded-Proto", "https").text(), "hello");
    assert_eq!(upstream.only_request().get("x-forwarded-proto"), Some("https"));
    assert_eq!(ask("127.0.0.9", "X-Forwarded-Proto", "https, http").text(), "hello");
    check(&ask("127.0.0.9", "X-Forwarded-Proto", "http"), 301, "https://shop.test/");
    check(&ask("127.0.0.9", "X-Other", "https"), 301, "https://shop.test/");
    check(&ask("127.0.0.9", "Forwarded", "for=1.1.1.1;proto=https"), 301, "https://shop.test/");
    check(&ask("127.0.0.7", "X-Forwarded-Proto", "https"), 301, "https://shop.test/");
    let more = "trusted_proxies: 127.0.0.1\nclient_address: { header: forwarded }\n";
    let guard = Guard::start(&format!("{REDIRECT}{more}"), &upstream);
    let ask = Ask::get("/").with("Forwarded", "for=1.1.1.1;proto=https");
    assert_eq!(guard.ask(&ask).text(), "hello");
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.get("x-forwarded-proto"), Some("https"), "as it says there");
    let ask = Ask::get("/").with("Forwarded", "for=1.1.1.1;proto=http");
    check(&guard.ask(&ask), 301, "https://shop.test/");
}

#[test]
fn redirects_begin_and_end_with_a_reload_and_the_denied_get_none() {
    let upstream = Upstream::hello();
    let access = "access: { deny: 127.0.0.66, covers: everything }\n";
    let guard = Guard::start(&format!("{REDIRECT}{access}"), &upstream);
    assert_eq!(Client::from("127.0.0.66", &guard).get("/").verdict(), (403, "denied"));
    check(&guard.client().get("/"), 301, "https://shop.test/");
    guard.reconfigure(|text| text.replace("redirect_to_https: true", "redirect_to_https: false"));
    guard.reload();
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!(guard.events("restart_needed").len(), 0);
}

/// A guard with a listener that speaks TLS, one that sends there, and one in the clear.
fn start_all(hsts: &str, upstream: &Upstream) -> (Guard, Authority) {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["shop.test"]);
    let text = format!(
        "listen: [{{ address: \"127.0.0.1:0\", tls: {{ certificate: cert.pem, key: key.pem }} }}, \
         \"127.0.0.2:0\"]\n\
         lockout: {{ limits: {{ by: username, failures: 1, cool_off: 1h }} }}\n\
         trusted_proxies: 127.0.0.9\n{}",
        SITES.replace("[{ hosts:", &format!("[{{ {hsts}hosts:"))
    );
    let setup = Setup::new(&text).upstream(upstream).file("cert.pem", &certificate);
    (setup.file("key.pem", &key).start(), authority)
}

#[test]
fn browsers_that_come_with_tls_are_told_to_and_others_are_not() {
    let name = "strict-transport-security";
    let upstream = Upstream::answering(|request| match &*request.target {
        "/own" => "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\n\
                   Content-Length: 0\r\n\r\n"
            .to_owned(),
        _ => ok("hello"),
    });
    let hsts = "hsts: { max_age: 1h, include_subdomains: true }, ";
    let (guard, authority) = start_all(hsts, &upstream);
    let told = Some("max-age=3600; includeSubDomains");
    let mut client = Http2::to(&guard, &authority);
    assert_eq!(client.ask(Http2::request("GET", "/"), b"").get(name), told);
    let own = client.ask(Http2::request("GET", "/own"), b"");
    assert_eq!(own.get(name), Some("max-age=1"), "what the application says stays");
    let locked = client.log_in("bob", "wrong");
    assert_eq!((locked.status, locked.get(name)), (403, told), "with the guard's own answers too");
    let begun = client.begin(Http2::request("HEAD", "/"), b"", Ends::Here);
    assert_eq!(client.finish(begun).unwrap().get(name), told);
    assert_eq!(guard.client().get("/").get(name), None, "in the clear it means nothing");
    let proxied = |from, proto| {
        let ask = Ask::get("/").with("X-Forwarded-Proto", proto);
        Client::from(from, &guard).ask(&ask).get(name).map(str::to_owned)
    };
    assert_eq!(proxied("127.0.0.9", "https").as_deref(), told);
    assert_eq!(proxied("127.0.0.9", "http"), None);
    assert_eq!(proxied("127.0.0.7", "https"), None);
    let (guard, authority) = start_all("", &upstream);
    let mut client = Http2::to(&guard, &authority);
    assert_eq!(
        client.ask(Http2::request("GET", "/"), b"").get(name),
        None,
        "unless it is asked for"
    );
}
