//! Sites and upstreams.

use super::*;

#[test]
fn an_upstream_is_a_url_of_a_server() {
    check(
        &upstream("127.0.0.1:3000"),
        &["3:15: sites[0].upstream: `127.0.0.1:3000` is no URL; write one such as \
             \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream("http://"),
        &["3:15: sites[0].upstream: `http://` is no URL; write one such as \
             \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream("http://a:0"),
        &["3:15: sites[0].upstream: `http://a:0` has no port from 1 to 65535; write one such \
             as \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream("http://a/app"),
        &["3:15: sites[0].upstream: `http://a/app` has a path or query, and the guard changes \
             no paths; write one such as \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream("http://u:p@a"),
        &["3:15: sites[0].upstream: this URL has credentials, and the guard sends none of its \
             own; write one such as \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream("ftp://a"),
        &["3:15: sites[0].upstream: `ftp://a` is no URL; write one such as \
             \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(
        &upstream(r#""unix:""#),
        &["3:15: sites[0].upstream: `unix:` is no unix socket; write a path of at most 107 \
             bytes, such as \"unix:/run/app.sock\""],
    );
    check(
        &upstream("http://[::1"),
        &["3:15: sites[0].upstream: `http://[::1` is no URL; write one such as \
             \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\""],
    );
    check(&upstream("[]"), &["3:15: sites[0].upstream: is empty; name at least one URL"]);
}

#[test]
fn several_servers_are_a_list_or_a_mapping() {
    check(&upstream("[http://a, http://b]"), &[]);
    check(&upstream("{ servers: [http://a, unix:/run/b], balance: round_robin }"), &[]);
    check(&upstream("{ servers: http://a, balance: { cookie: sid }, host: app.test:81 }"), &[]);
    check(&upstream("{ servers: http://a, balance: client, host: preserve }"), &[]);
    check(
        &upstream("{ balance: sticky }"),
        &[
            "3:15: sites[0].upstream: needs `servers`; such as \
             `servers: [http://10.0.0.1:3000]`",
            "3:26: sites[0].upstream.balance: `sticky` is unknown; write `client`, \
             `round_robin` or { cookie: NAME }",
        ],
    );
    check(
        &upstream("{ servers: [http://a, http://a:80], balance: { cookie: a=b }, host: a/b }"),
        &[
            "3:37: sites[0].upstream.servers[1]: is named twice; remove one of them",
            "3:70: sites[0].upstream.balance.cookie: `a=b` is no name of a cookie; write the \
             name alone, such as JSESSIONID",
            "3:83: sites[0].upstream.host: `a/b` is no host; write `preserve` for the client's, \
             or a name such as app.internal",
        ],
    );
    check(
        &upstream("{ server: http://a, balance: {} }"),
        &[
            "3:15: sites[0].upstream: needs `servers`; such as \
             `servers: [http://10.0.0.1:3000]`",
            "3:17: sites[0].upstream.server: unknown key; did you mean `servers`?",
            "3:44: sites[0].upstream.balance: needs `cookie`; such as { cookie: JSESSIONID }",
        ],
    );
    let many: Vec<String> = (0..129).map(|at| format!("http://a:{}", at + 1)).collect();
    check(
        &upstream(&format!("[{}]", many.join(", "))),
        &["3:15: sites[0].upstream: has 129 servers; name at most 128"],
    );
}

#[test]
fn http_2_is_for_servers_that_speak_tls() {
    let insecure = "tls: { insecure: true }";
    check(
        &upstream(&format!("{{ servers: [https://a, http://b], http2: true, {insecure} }}")),
        &[
            "3:38: sites[0].upstream.servers[1]: is no `https://` server, so that HTTP/2 cannot \
             be agreed on with it; write https://, or remove `http2`",
            "3:67: warning: sites[0].upstream.tls: `insecure: true` believes whoever answers, and \
             sends him the passwords; name the upstream's own CA under `ca` instead",
        ],
    );
    check(
        &upstream("{ servers: unix:/run/a, http2: true }"),
        &["3:26: sites[0].upstream.servers: is no `https://` server, so that HTTP/2 cannot be \
             agreed on with it; write https://, or remove `http2`"],
    );
    check(&upstream("{ servers: http://a, http2: false }"), &[]);
}

#[test]
fn a_health_check_needs_a_path() {
    check(&upstream("{ servers: http://a, health_check: { path: '/up?x', status: 2xx } }"), &[]);
    check(
        &upstream("{ servers: http://a, health_check: { interval: 0s, status: 600, host: a } }"),
        &[
            "3:50: sites[0].upstream.health_check: needs `path`; such as { path: /health }",
            "3:62: sites[0].upstream.health_check.interval: `0s` is no duration that fits here; \
             it has to be at least 1ms",
            "3:74: sites[0].upstream.health_check.status: `600` is no status; write one from 100 \
             to 599, a range such as 200-299, or a class such as 4xx",
            "3:79: sites[0].upstream.health_check.host: unknown key; it belongs to upstream",
        ],
    );
    check(
        &upstream("{ servers: http://a, health_check: { path: up } }"),
        &["3:58: sites[0].upstream.health_check.path: `up` is no path; write what stands behind \
             the host, such as /health"],
    );
}

#[test]
fn tls_with_an_upstream_is_for_those_that_speak_it() {
    check(
        &upstream("{ servers: https://a, tls: { insecure: true } }"),
        &["3:42: warning: sites[0].upstream.tls: `insecure: true` believes whoever answers, and \
             sends him the passwords; name the upstream's own CA under `ca` instead"],
    );
    check(
        &upstream("{ servers: [http://a, https://a], tls: { insecure: true } }"),
        &[
            "3:27: sites[0].upstream.servers[0]: is no `https://` server, so that `tls` cannot be \
             for it; write https://, or remove `tls`",
            "3:54: warning: sites[0].upstream.tls: `insecure: true` believes whoever answers, and \
             sends him the passwords; name the upstream's own CA under `ca` instead",
        ],
    );
    check(
        &upstream("{ servers: https://a, tls: { ca: no-such.pem } }"),
        &["3:42: sites[0].upstream.tls: `no-such.pem` cannot be read: No such file or directory \
             (os error 2); name a file of certificates in PEM (-----BEGIN CERTIFICATE-----)"],
    );
    check(
        &upstream(
            "{ servers: https://a, tls: { certificate: a.pem, server_name: 'a b', cert: 1 } }",
        ),
        &[
            "3:42: sites[0].upstream.tls: has a `certificate` and no `key`; the two belong \
             together; remove both where the guard needs none",
            "3:77: sites[0].upstream.tls.server_name: `a b` is no name of a server; write a host \
             name or an address alone, such as app.internal",
            "3:84: sites[0].upstream.tls.cert: unknown key; an upstream's tls may have `ca`, \
             `certificate`, `key`, `server_name` or `insecure`",
        ],
    );
    check(
        &upstream("{ servers: https://a, tls: { ca: a.pem, insecure: true } }"),
        &["3:48: sites[0].upstream.tls.ca: is not looked at with `insecure: true`; remove one of \
             the two"],
    );
}

#[test]
fn a_site_needs_an_upstream_and_logins() {
    check(
        r#"listen: "127.0.0.1:8080""#,
        &[
            "1:1: needs `sites`; write at least",
            "    listen: \"127.0.0.1:8080\"",
            "    sites:",
            "      - upstream: http://127.0.0.1:3000",
            "        logins:",
            "          - path: /login",
            "            username: { form: username }",
            "            password: { form: password }",
            "            outcome: { success: { status: [302, 303], set_cookie: \
             NAME_OF_THE_SESSION_COOKIE } }",
        ],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites: []
        "#,
        ),
        &["2:8: sites: is empty; name at least one site"],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites: [{ hosts: a }]
        "#,
        ),
        &[
            "2:9: sites[0]: needs `upstream`; such as `upstream: http://127.0.0.1:3000`",
            "2:9: warning: sites[0]: has no `logins`, so nothing is guarded here",
        ],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites: [{ upstream: "http://a" }]
        "#,
        ),
        &["2:9: warning: sites[0]: has no `logins`, so nothing is guarded here"],
    );
}

#[test]
fn hosts_are_names() {
    check(
        &site(r#"hosts: "*""#),
        &["9:12: sites[0].hosts: `*` is no host name; leave `hosts` out for every host"],
    );
    check(
        &site(r#"hosts: "http://a""#),
        &["9:12: sites[0].hosts: `http://a` is no host name; write the name without scheme \
             and port"],
    );
    check(
        &site(r#"hosts: ["a..b", "münchen.de", "a b", "*.*.a"]"#),
        &[
            "9:13: sites[0].hosts[0]: `a..b` is no host name; write a name such as \
             shop.example.com or \"*.example.com\"",
            "9:21: sites[0].hosts[1]: `münchen.de` is no host name; write it as the browser \
             sends it, beginning with `xn--`",
            "9:35: sites[0].hosts[2]: `a b` is no host name; write a name such as \
             shop.example.com or \"*.example.com\"",
            "9:42: sites[0].hosts[3]: `*.*.a` is no host name; write a name such as \
             shop.example.com or \"*.example.com\"",
        ],
    );
    check(&site("hosts: []"), &["9:12: sites[0].hosts: is empty; name one or remove the key"]);
}

#[test]
fn names_and_hosts_belong_to_one_site() {
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - { upstream: "http://a", hosts: [a.example, "*.b.example"], logins: [{ path: /a, username: { form: u }, outcome: { success: { location: /app } } }] }
          - { upstream: "http://b", name: a.example, logins: [{ path: /a, username: { form: u }, outcome: { success: { location: /app } } }] }
        "#,
        ),
        &["4:5: sites[1]: there are two sites `a.example`, the first in line 3; give one of \
             them another `name`"],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - { upstream: "http://a", hosts: [a.example, "*.b.example"], logins: [{ path: /a, username: { form: u }, outcome: { success: { location: /app } } }] }
          - { upstream: "http://b", hosts: ["A.example.", "*.b.example", c.example], logins: [{ path: /a, username: { form: u }, outcome: { success: { location: /app } } }] }
        "#,
        ),
        &[
            "4:5: sites[1]: there are two sites `a.example`, the first in line 3; give one of \
             them another `name`",
            "4:5: sites[1]: `a.example` belongs to the site in line 3 already; give each site \
             `hosts` of its own",
            "4:5: sites[1]: `*.b.example` belongs to the site in line 3 already; give each site \
             `hosts` of its own",
        ],
    );
}

#[test]
fn names_and_paths_belong_to_one_login() {
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - upstream: http://a
            logins:
              - { path: /a, username: { form: u }, outcome: { success: { location: /app } }, name: x }
              - { path: /b, username: { form: u }, outcome: { success: { location: /app } }, name: x }
        "#,
        ),
        &["6:9: sites[0].logins[1]: there are two logins `x`, the first in line 5; give one \
             of them another `name`"],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - upstream: http://a
            logins:
              - { path: [/a, /b], username: { form: u }, outcome: { success: { location: /app } } }
              - { path: [/c, /b], username: { form: u }, outcome: { success: { location: /app } } }
        "#,
        ),
        &["6:9: sites[0].logins[1]: `/b` belongs to the login in line 5 already; make the two \
             one, or put the narrower one first and narrow it by `when`"],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - upstream: http://a
            logins:
              - { path: [/a, /a], username: { form: u }, outcome: { success: { location: /app } } }
        "#,
        ),
        &["5:9: sites[0].logins[0]: names `/a` twice; name it once"],
    );
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - upstream: http://a
            logins:
              - { path: /a, username: { form: u }, outcome: { success: { location: /app } }, name: x, when: { query: { task: login } } }
              - { path: /a, username: { form: u }, outcome: { success: { location: /app } }, name: y, when: { query: { task: register } } }
              - { path: /a, username: { form: u }, outcome: { success: { location: /app } }, name: z }
        "#,
        ),
        &[],
    );
}

#[test]
fn logouts_are_recognised_without_their_body() {
    check(
        &site("logouts: { path: /logout, when: { field: { a: b } }, status: 600 }"),
        &[
            "9:14: sites[0].logouts: `field` would need the body, which is not read here; ask \
             for `query` alone",
            "9:66: sites[0].logouts.status: `600` is no status; write one from 100 to 599, a \
             range such as 200-299, or a class such as 4xx",
        ],
    );
    check(
        &site("logouts: [{ status: 302 }]"),
        &["9:15: sites[0].logouts[0]: needs `path`; such as `path: /logout`"],
    );
}
