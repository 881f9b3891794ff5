//! Login rules.

use super::*;

#[test]
fn a_rule_says_where_it_applies_and_how_answers_are_read() {
    check(
        &rule(
            r"
        username: { form: u }
        outcome: { success: { location: /app } }
        ",
        ),
        &["5:9: sites[0].logins[0]: needs `path`; such as `path: /login`"],
    );
    check(
        &rule(
            r"
        path: /login
        username: { form: u }
        ",
        ),
        &[
            "5:9: sites[0].logins[0]: needs `outcome`; say how the upstream's answer is read, \
             for example",
            "        outcome:",
            "          - success: { status: [302, 303], set_cookie: NAME_OF_THE_SESSION_COOKIE }",
            "          - ignore: { status: 429 }",
        ],
    );
    check(
        &rule(
            r"
        path: /login
        username: [{ form: u }, { basic: true }]
        ",
        ),
        &[
            "5:9: sites[0].logins[0]: needs `outcome`; say how the upstream's answer is read, \
             for example",
            "        outcome:",
            "          - success: { status: [302, 303], set_cookie: NAME_OF_THE_SESSION_COOKIE }",
            "          - ignore: { status: 429 }",
        ],
    );
}

#[test]
fn paths_begin_with_a_slash() {
    check(
        &rule(
            r"
        path: []
        outcome: { success: { location: /app } }
        ",
        ),
        &[
            "3:5: warning: sites[0]: no login here has a username, so of the default limits \
             only the one by `ip_address` counts: 50 failures; name a `username`, or give it \
             `lockout: { limits: … }`",
            "5:15: sites[0].logins[0].path: is empty; name one or remove the key",
        ],
    );
    check(
        &rule(
            r#"
        path: [login, /a?b, /a*b, "/u/{name", "/u/x{name}"]
        outcome: { success: { location: /app } }
        username: { form: u }
        "#,
        ),
        &[
            "5:16: sites[0].logins[0].path[0]: `login` is no path; a path begins with \"/\"; \
             write \"/login\"",
            "5:23: sites[0].logins[0].path[1]: `/a?b` is no path; a path ends before \"?\" and \
             \"#\"; write \"/a\", and what the query must hold under \"when: { query: … }\"",
            "5:29: sites[0].logins[0].path[2]: `/a*b` is no path; \"*\" may only stand at the \
             end; write \"/a*\", or \"{name}\" for a whole segment",
            "5:35: sites[0].logins[0].path[3]: `/u/{name` is no path; a {name} is a whole \
             segment, as in \"/u/{name}/login\"; for anything else end the path with \"*\"",
            "5:47: sites[0].logins[0].path[4]: `/u/x{name}` is no path; a {name} is a whole \
             segment, as in \"/u/{name}/login\"; for anything else end the path with \"*\"",
        ],
    );
}

#[test]
fn methods_are_tokens() {
    check(
        &login("methods: []"),
        &["9:18: sites[0].logins[0].methods: is empty; name one or remove the key"],
    );
    check(
        &login(r#"methods: [get, "a b", 7]"#),
        &[
            "9:24: sites[0].logins[0].methods[1]: `a b` is no method; write one such as POST",
            "9:31: sites[0].logins[0].methods[2]: expected text, but YAML reads `7` as a \
             number; quote it",
        ],
    );
}

#[test]
fn usernames_stand_somewhere() {
    check(
        &rule(
            r"
        path: /login
        username: log
        outcome: { success: { location: /app } }
        ",
        ),
        &["6:19: sites[0].logins[0].username: does not say where `log` stands; for a field of \
             a form write { form: \"log\" }"],
    );
    check(
        &rule(
            r#"
        path: /login
        username: [{ form: a, json: /b }, {}, { basic: false }, { json: user.name }, { header: "a b" }, { path: name }]
        outcome: { success: { location: /app } }
        "#,
        ),
        &[
            "6:19: sites[0].logins[0].username: no path of the rule has `{name}`; write it into \
             the path, such as \"/u/{name}/login\"",
            "6:20: sites[0].logins[0].username[0]: names several places at once; make it a \
             list, [{ … }, { … }], with one key in each",
            "6:43: sites[0].logins[0].username[1]: says nothing; write `form`, `json`, `query`, \
             `header`, `basic` or `path`",
            "6:56: sites[0].logins[0].username[2].basic: says nothing; write `basic: true` or \
             remove it",
            "6:73: sites[0].logins[0].username[3].json: `user.name` is no JSON pointer; write \
             `/user/name`",
            "6:96: sites[0].logins[0].username[4].header: `a b` is no header field; write the \
             name alone, such as x-forwarded-for",
        ],
    );
    check(
        &rule(
            r"
        path: /login
        username: { form: u }
        password: { basic: true }
        outcome: { success: { location: /app } }
        ",
        ),
        &["7:21: sites[0].logins[0].password.basic: unknown key; it belongs to a username"],
    );
}

#[test]
fn username_rewrites_are_regular_expressions() {
    check(
        &login("username_rewrite: [{ regex: '(', to: '$1' }, { regex: a }]"),
        &[
            "9:37: sites[0].logins[0].username_rewrite[0].regex: `(` is no regular expression: \
             unclosed group",
            "9:54: sites[0].logins[0].username_rewrite[1]: needs `to`; such as { regex: \
             '^(.*)@.*$', to: '$1' }",
        ],
    );
    check(
        &rule(
            r"
        path: /login
        username_rewrite: { regex: a, to: b }
        outcome: { success: { location: /app } }
        password: { form: p }
        ",
        ),
        &[
            "3:5: warning: sites[0]: no login here has a username, so of the default limits \
             only the one by `ip_address` counts: 50 failures; name a `username`, or give it \
             `lockout: { limits: … }`",
            "6:27: sites[0].logins[0].username_rewrite: there is no `username` to rewrite; name \
             one or remove this",
        ],
    );
}

#[test]
fn cookies_and_conditions_are_names_and_values() {
    check(
        &login("session_cookie: sid=1"),
        &["9:25: sites[0].logins[0].session_cookie: `sid=1` is no name of a cookie; write the \
             name alone, in which `*` stands for any text"],
    );
    check(
        &login("when: { querry: { a: b } }"),
        &["9:17: sites[0].logins[0].when.querry: unknown key; did you mean `query`?"],
    );
    check(
        &login("when: { query: a }"),
        &["9:24: sites[0].logins[0].when.query: expected a mapping of names to values, not `a`"],
    );
    check(
        &login("when: { query: { a: 1 } }"),
        &["9:29: sites[0].logins[0].when.query.a: expected text, but YAML reads `1` as a \
             number; quote it"],
    );
}

#[test]
fn login_bodies_have_a_size() {
    check(
        &login("max_body: 64"),
        &["9:19: sites[0].logins[0].max_body: `64` is no size that fits here; it needs a \
             unit: B, kB, KiB, MB or MiB, such as 64KiB"],
    );
    check(
        &login("max_body: 0B"),
        &["9:19: sites[0].logins[0].max_body: `0B` is no size that fits here; write a size \
             from 1B to 64MiB"],
    );
    check(
        &login("max_body: 1GiB"),
        &["9:19: sites[0].logins[0].max_body: `1GiB` is no size that fits here; write a size \
             from 1B to 64MiB"],
    );
    check(
        &login("max_body: 64K"),
        &["9:19: sites[0].logins[0].max_body: `64K` is no size that fits here; the units are \
             B, kB, KiB, MB and MiB, such as 64KiB"],
    );
}

#[test]
fn with_credentials_needs_credentials() {
    check(
        &rule(
            r#"
        path: ["/api/*", /]
        outcome: { success: { location: /app } }
        "#,
        ),
        &[
            "3:5: warning: sites[0]: no login here has a username, so of the default limits \
             only the one by `ip_address` counts: 50 failures; name a `username`, or give it \
             `lockout: { limits: … }`",
            "5:9: sites[0].logins[0]: on `/api/*` only requests with credentials are attempts; \
             name the `password` or the `username`",
        ],
    );
}

#[test]
fn a_script_with_all_its_requests_is_doubtful() {
    check(
        &rule(
            r#"
        path: [/wp-login.php, /index.PHP, "/x.php*"]
        username: { form: log }
        password: { form: pwd }
        outcome: { success: { location: /app } }
        "#,
        ),
        &[
            "5:16: warning: sites[0].logins[0].path[0]: `/wp-login.php` probably serves other \
             things too; take `attempts: with_credentials` and name the `password`, or every \
             request to it counts as a guess",
            "5:31: warning: sites[0].logins[0].path[1]: `/index.PHP` probably serves other \
             things too; take `attempts: with_credentials` and name the `password`, or every \
             request to it counts as a guess",
        ],
    );
    check(
        &rule(
            r"
        path: /wp-login.php
        attempts: with_credentials
        username: { form: log }
        password: { form: pwd }
        outcome: { success: { location: /app } }
        ",
        ),
        &[],
    );
}

#[test]
fn a_site_without_usernames_is_doubtful_under_the_default_limits() {
    check(
        &rule(
            r"
        path: /login
        password: { form: p }
        outcome: { success: { location: /app } }
        ",
        ),
        &["3:5: warning: sites[0]: no login here has a username, so of the default limits \
             only the one by `ip_address` counts: 50 failures; name a `username`, or give it \
             `lockout: { limits: … }`"],
    );
}
