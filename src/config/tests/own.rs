//! Addresses of the guard itself.

use super::*;

/// The upstream is called the guard itself, as `key` says.
#[track_caller]
fn comes_round(listen: &str, url: &str) {
    let text = upstream(url).replacen("\"127.0.0.1:8080\"", listen, 1);
    let shown = url.trim_matches(['[', ']', '"', ' ']);
    let shown = shown.strip_prefix("{ servers: ").map_or(shown, |rest| rest.trim_end_matches(" }"));
    let problems = parse(&text).expect_err(&text).to_string();
    let said = format!("`{shown}` is where the guard itself listens (`listen");
    assert!(problems.contains(&said), "{text}\n{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn an_upstream_is_not_the_guard_itself() {
    check(
        &upstream("http://127.0.0.1:8080"),
        &["3:15: sites[0].upstream: `http://127.0.0.1:8080` is where the guard itself listens \
             (`listen`): each request would come round to it without end; write the address of \
             the application"],
    );
    check(
        &upstream("{ servers: [http://a, http://LocalHost:8080], health_check: { path: /up } }"),
        &["3:37: sites[0].upstream.servers[1]: `http://LocalHost:8080` is where the guard itself \
             listens (`listen`): each request would come round to it without end; write the \
             address of the application"],
    );
}

#[test]
fn an_upstream_is_the_guard_however_its_address_is_written() {
    for (listen, url) in [
        ("\"127.0.0.1:80\"", "http://127.0.0.1"),
        ("\"127.0.0.1:443\"", "HTTPS://127.0.0.1/"),
        ("\"127.0.0.1:81\"", "http://localhost.:81"),
        ("\"127.0.0.1:81\"", "http://0.0.0.0:81"),
        ("\"127.0.0.1:81\"", "\"http://[::ffff:127.0.0.1]:81\""),
        ("\"[::1]:81\"", "http://localhost:81"),
        ("\"[::1]:81\"", "\"http://[0:0::1]:81\""),
        ("\"[::1]:81\"", "\"http://[::]:81\""),
        ("\"0.0.0.0:81\"", "http://127.3.2.1:81"),
        ("\"0.0.0.0:81\"", "http://localhost:81"),
        ("\"[::]:81\"", "http://127.0.0.1:81"),
        ("\"[::]:81\"", "\"http://[::1]:81\""),
        ("\"[::]:81\"", "http://localhost:81"),
        ("[\"127.0.0.1:80\", \"10.0.0.1:81\"]", "http://10.0.0.1:81"),
        ("{ address: \"127.0.0.1:81\", redirect_to_https: true }", "http://127.0.0.1:81"),
        ("\"127.0.0.1:81\"", "{ servers: http://127.0.0.1:81 }"),
    ] {
        comes_round(listen, url);
    }
}

#[test]
fn an_upstream_may_be_near_the_guard() {
    for (listen, url) in [
        ("127.0.0.1:81", "http://127.0.0.1:82"),
        ("127.0.0.1:81", "http://127.0.0.2:81"),
        ("127.0.0.1:81", "\"http://[::1]:81\""),
        ("0.0.0.0:81", "\"http://[::1]:81\""),
        ("0.0.0.0:81", "http://10.0.0.1:81"),
        ("[::]:81", "http://application:81"),
        ("127.0.0.1:0", "http://127.0.0.1:1"),
    ] {
        let text = upstream(url).replacen("127.0.0.1:8080", listen, 1);
        assert_eq!(settings(&text).sites.len(), 1);
    }
}

#[test]
fn an_upstream_is_no_other_socket_of_the_guard() {
    let round = FLAWLESS
        .replacen("\"127.0.0.1:8080\"", "unix:run/a.sock\ntrusted_proxies: unix", 1)
        .replacen("http://127.0.0.1:3000", "unix:run/./a.sock", 1);
    check(
        &round,
        &["4:15: sites[0].upstream: `unix:run/./a.sock` is where the guard itself listens \
             (`listen`): each request would come round to it without end; write the address of \
             the application"],
    );
    check(
        &format!("{}metrics: {{ address: \"127.0.0.1:81\" }}", upstream("http://localhost:81")),
        &["3:15: sites[0].upstream: `http://localhost:81` is where the guard's own metrics are \
             (`metrics.address`); write the address of the application"],
    );
    check(
        &format!("{}admin: {{ address: \"unix:admin.sock\" }}", upstream("unix:admin.sock")),
        &["3:15: sites[0].upstream: `unix:admin.sock` is where operators ask the guard \
             (`admin.address`); write the address of the application"],
    );
}

#[test]
fn nothing_listens_where_the_guard_listens_already() {
    check(
        &file(r#"metrics: { address: "127.0.0.1:8080" }"#),
        &["9:21: metrics.address: is where others connect (`listen`); give it a port of its own, \
             such as \"127.0.0.1:9180\""],
    );
    check(
        &format!(
            "{}admin: {{ address: \"unix:a.sock\" }}\ntrusted_proxies: unix",
            listen("listen: [\"[::]:80\", unix:a.sock]")
        ),
        &["9:19: admin.address: is where others connect (`listen[1]`); give it a path of its own"],
    );
    check(
        &listen(r#"listen: ["0.0.0.0:81", { address: "127.0.0.1:81" }, "10.0.0.1:82"]"#),
        &["1:35: listen[1].address: meets `0.0.0.0:81` (`listen[0]`), where the guard listens \
             already; remove one of them"],
    );
    check(
        &listen(r#"listen: ["0.0.0.0:81", "[::]:81"]"#),
        &[
            "1:24: warning: listen[1]: meets `0.0.0.0:81` (`listen[0]`), as `[::]` stands for IPv4, \
             too; remove one of them",
        ],
    );
    check(
        &format!("{}metrics: {{ address: \"127.0.0.1:81\" }}", listen("listen: \"[::]:81\"")),
        &["9:21: metrics.address: is where others connect (`listen`); give it a port of its own, \
             such as \"127.0.0.1:9180\""],
    );
    let any = "metrics: { address: \"127.0.0.1:0\" }";
    check(&format!("{}{any}", listen(r#"listen: ["127.0.0.1:0", "127.0.0.2:0"]"#)), &[]);
}
