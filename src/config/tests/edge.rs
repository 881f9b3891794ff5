//! Where clients connect, and how they are told apart.

use super::*;

#[test]
fn listeners_are_addresses_with_ports() {
    check(
        &listen("workers: 1"),
        &["1:1: listens nowhere; say where, such as `listen: \"127.0.0.1:8080\"`"],
    );
    check(
        &listen("listen: []"),
        &["1:1: listens nowhere; say where, such as `listen: \"127.0.0.1:8080\"`"],
    );
    check(
        &listen("listen: 8080"),
        &["1:9: listen: `8080` is no address with a port; for every address write \"[::]:8080\""],
    );
    check(
        &listen(r#"listen: ":8080""#),
        &["1:9: listen: `:8080` is no address with a port; for every address write \
             \"[::]:8080\""],
    );
    check(
        &listen(r#"listen: "localhost:8080""#),
        &["1:9: listen: `localhost:8080` is no address with a port; write \"127.0.0.1:8080\""],
    );
    check(
        &listen(r#"listen: "127.0.0.1""#),
        &["1:9: listen: `127.0.0.1` is no address with a port; write one such as \
             \"127.0.0.1:8080\" or \"[::1]:8080\""],
    );
    check(
        &listen(r#"listen: { addres: "127.0.0.1:1" }"#),
        &[
            "1:9: listen: needs `address`; such as `address: \"127.0.0.1:8080\"`",
            "1:11: listen.addres: unknown key; did you mean `address`?",
        ],
    );
    check(
        &listen(r#"listen: ["127.0.0.1:8080", "127.0.0.1:8080"]"#),
        &["1:28: listen[1]: is listened on twice; remove one of them"],
    );
    check(
        &listen(
            r#"listen: "unix:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
        ),
        &["1:9: listen: `unix:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is no \
             unix socket; write a path of at most 107 bytes, such as \"unix:/run/app.sock\""],
    );
}

#[test]
fn clients_of_a_unix_listener_have_to_be_told_apart() {
    check(
        &listen("listen: unix:/run/http.sock"),
        &["1:9: listen: clients of a unix socket cannot be told apart; add `unix` to \
             `trusted_proxies`, and let the proxy in front send X-Forwarded-For"],
    );
}

#[test]
fn a_forwarding_header_needs_trusted_proxies() {
    check(
        &file("client_address: { header: x-real-ip }"),
        &["9:27: client_address.header: is read from trusted proxies alone, and there are \
             none; name them under `trusted_proxies`, or remove the header"],
    );
    check(
        &file(
            r#"
        trusted_proxies: 10.0.0.0/8
        client_address: { header: "x real ip", ipv6_prefix: 129, network: { ipv4_prefix: 0 } }
        "#,
        ),
        &[
            "10:27: client_address.header: `x real ip` is no header field; write the name \
             alone, such as x-forwarded-for",
            "10:53: client_address.ipv6_prefix: `129` does not fit here; write a whole number \
             from 16 to 128",
            "10:82: client_address.network.ipv4_prefix: `0` does not fit here; write a whole \
             number from 8 to 32",
        ],
    );
}

#[test]
fn a_proxy_header_needs_trusted_proxies() {
    check(
        &listen(r#"listen: { address: "127.0.0.1:80", proxy_protocol: true }"#),
        &["1:9: listen: takes connections from trusted proxies alone, and there are none; name \
             them under `trusted_proxies`, or remove `proxy_protocol`"],
    );
    check(
        &listen(r#"listen: { address: "127.0.0.1:80", proxy_protocol: v2 }"#),
        &["1:52: listen.proxy_protocol: expected true or false, not `v2`"],
    );
    let trusting = "trusted_proxies: 10.0.0.1\n";
    let proxied = r#"listen: { address: "127.0.0.1:80", proxy_protocol: true }"#;
    let settings = settings(&format!("{trusting}{}", listen(proxied)));
    assert_eq!(settings.listen[0].proxied, crate::config::Proxied::Yes);
}

#[test]
fn requests_in_the_clear_may_be_sent_to_a_port_with_tls() {
    let redirect = |value: &str| {
        let key = format!(r#"listen: {{ address: "[::]:80", redirect_to_https: {value} }}"#);
        settings(&listen(&key)).listen[0].redirect
    };
    assert_eq!(redirect("false"), None);
    assert_eq!(redirect("true"), Some(443));
    assert_eq!(redirect("{ port: 8443 }"), Some(8443));
    check(
        &listen(r#"listen: { address: "[::]:80", redirect_to_https: { port: 0 } }"#),
        &["1:58: listen.redirect_to_https.port: `0` does not fit here; write a whole number from \
             1 to 65535"],
    );
    check(
        &listen(r#"listen: { address: "[::]:80", redirect_to_https: 443 }"#),
        &["1:50: listen.redirect_to_https: expected true or false, not `443`"],
    );
}

#[test]
fn each_file_for_tls_that_cannot_be_read_is_named() {
    let wrong = "cannot be read: No such file or directory (os error 2); name a";
    let in_pem = "file of certificates in PEM (-----BEGIN CERTIFICATE-----)";
    let key = "private key in PEM (PKCS #8, PKCS #1 or SEC 1)";
    let tls = "tls: { certificate: no.pem, key: no.key, client_ca: no-ca.pem }";
    check(
        &listen(&format!("listen: {{ address: \"127.0.0.1:80\", {tls} }}")),
        &[
            &format!("1:41: listen.tls: `no.pem` {wrong} {in_pem}"),
            &format!("1:41: listen.tls: `no.key` {wrong} {key}"),
            &format!("1:41: listen.tls: `no-ca.pem` {wrong} {in_pem}"),
        ],
    );
    check(
        &upstream("{ servers: https://a, tls: { certificate: no.pem, key: no.key } }"),
        &[
            &format!("3:42: sites[0].upstream.tls: `no.pem` {wrong} {in_pem}"),
            &format!("3:42: sites[0].upstream.tls: `no.key` {wrong} {key}"),
        ],
    );
}

#[test]
fn browsers_are_told_of_tls_for_some_time() {
    let hsts = |value: &str| settings(&site(&format!("hsts: {value}"))).sites[0].hsts.clone();
    assert_eq!(hsts("{ max_age: 1h }").unwrap(), "max-age=3600");
    assert_eq!(hsts("{ max_age: 0s, include_subdomains: false }").unwrap(), "max-age=0");
    let all = "{ max_age: 365d, include_subdomains: true, preload: true }";
    assert_eq!(hsts(all).unwrap(), "max-age=31536000; includeSubDomains; preload");
    check(&site("hsts: {}"), &["9:11: sites[0].hsts: needs `max_age`; such as { max_age: 365d }"]);
    check(
        &site("hsts: { max_age: 1d, preload: true }"),
        &["9:11: warning: sites[0].hsts: `preload` is for sites with `include_subdomains` and a \
             `max_age` of a year; set these, or remove `preload`"],
    );
}

#[test]
fn networks_are_addresses_and_networks() {
    check(
        &file("trusted_proxies: [10.0.0.0/8, 10.0.0.0/33, foo, 10.1]"),
        &[
            "9:31: trusted_proxies[1]: `10.0.0.0/33` is no network; write an address, a network \
             such as 10.0.0.0/8, `private` or `file:PATH`",
            "9:44: trusted_proxies[2]: `foo` is no network; write an address, a network such as \
             10.0.0.0/8, `private` or `file:PATH`",
            "9:49: trusted_proxies[3]: expected text, but YAML reads `10.1` as a number; quote it",
        ],
    );
    check(
        &file("access: { deny: unix }"),
        &["9:17: access.deny: `unix` is no network; only `trusted_proxies` knows `unix`"],
    );
    check(
        &file(r#"access: { deny: "file:bad-networks.txt" }"#),
        &[
            "bad-networks.txt:4:1: `foo` is no network; write an address or a network such as \
             10.0.0.0/8",
            "bad-networks.txt:5:1: `10.0.0.0/33` is no network; write an address or a network \
             such as 10.0.0.0/8",
        ],
    );
    check(
        &file(r#"access: { deny: "file:missing.txt" }"#),
        &["9:17: access.deny: cannot read `file:missing.txt`: there is no such file"],
    );
}

#[test]
fn trusting_too_many_is_doubtful() {
    check(
        &file(r#"trusted_proxies: [0.0.0.0/0, "::/0"]"#),
        &[
            "9:19: warning: trusted_proxies[0]: `0.0.0.0/0` trusts everybody: any client can \
             claim any address; name the proxies in front of the guard",
            "9:30: warning: trusted_proxies[1]: `::/0` trusts everybody: any client can claim \
             any address; name the proxies in front of the guard",
        ],
    );
    check(
        &listen(
            r#"
        listen: "0.0.0.0:8080"
        trusted_proxies: [127.0.0.1, private]
        "#,
        ),
        &["2:19: warning: trusted_proxies[0]: `127.0.0.1` trusts every program on this \
             machine, while 0.0.0.0:8080 is open to others; let the proxy in front use a \
             listener on 127.0.0.1"],
    );
}

#[test]
fn access_rules_admit_somebody_and_deny_somebody() {
    check(
        &file("access: { only_allow: [] }"),
        &["9:23: access.only_allow: is empty and would admit nobody; name who may, or remove \
             it to admit all"],
    );
    check(
        &site(r#"access: { only_allow: "file:no-networks.txt" }"#),
        &["9:27: sites[0].access.only_allow: is empty and would admit nobody; name who may, \
             or remove it to admit all"],
    );
    check(
        &login("access: { covers: everything }"),
        &["9:17: sites[0].logins[0].access: denies nobody; give it `deny` or `only_allow`"],
    );
    check(
        &login("access: { deny: 10.0.0.1, covers: all }"),
        &["9:43: sites[0].logins[0].access.covers: `all` is unknown; write `logins` or \
             `everything`"],
    );
}
