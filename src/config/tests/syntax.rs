//! Where YAML reads something else than was meant.

use super::*;

#[test]
fn what_yaml_reads_otherwise_needs_quotes() {
    check("listen: *all", &["1:9: YAML reads `*` as an alias, and no `&` names it; quote it"]);
    check("listen: * x", &["1:10: YAML reads `*` as the beginning of an alias; quote it"]);
    check("listen: & x", &["1:10: YAML reads `&` as the beginning of an anchor; quote it"]);
    check("listen: !<x", &["1:12: YAML reads `!` as the beginning of a tag; quote it"]);
    check("listen: @all", &["1:9: no text begins with `@` in YAML; quote it"]);
    check("listen: `date`", &["1:9: no text begins with a backtick in YAML; quote it"]);
    check("listen: %x", &["1:9: no text begins with `%` in YAML; quote it"]);
}

#[test]
fn what_looks_like_structure_needs_quotes() {
    check(
        "a: b: c",
        &["1:5: YAML reads `:` here as the end of a key; quote the text, or check the \
             indentation"],
    );
    check(
        &yaml(
            r"
        listen: [a
        sites: b
        ",
        ),
        &["1:9: YAML reads `[` as a list, and that does not end; quote it or end it"],
    );
    check(
        &yaml(
            r"
        listen: [::]:8080
        sites: b
        ",
        ),
        &["1:10: YAML reads `[` as the beginning of a list; quote it"],
    );
    check(
        &yaml(
            r"
        listen: {a
        sites: b
        ",
        ),
        &["1:9: YAML reads `{` as a mapping, and that does not end; quote it or end it"],
    );
    check(r#"listen: "a"#, &["1:9: a quotation mark is not closed; close it"]);
    check(r#"listen: "\d""#, &["1:10: in double quotes `\\` has a meaning; take single quotes"]);
    check(
        "listen: 'a' b",
        &["1:13: YAML expects a key here; check the indentation, and quote text that has \
             quotes or brackets"],
    );
}

#[test]
fn text_that_yaml_reads_as_something_else_needs_quotes() {
    check(
        &rule(
            r"
        path: {name}
        username: { form: u }
        password: { form: p }
        outcome: { success: { status: 302, location: /app } }
        ",
        ),
        &["5:15: sites[0].logins[0].path: expected text, but YAML reads `{` as the beginning \
             of a mapping; quote it"],
    );
    check(
        &site("name: [shop]"),
        &["9:11: sites[0].name: expected text, not a list; remove the `[ ]`, or quote them"],
    );
    check(
        &site("name: !shop x"),
        &["9:11: sites[0].name: expected text, but YAML reads `!shop` as a tag; quote it"],
    );
    check(
        &site("name: 12"),
        &["9:11: sites[0].name: expected text, but YAML reads `12` as a number; quote it"],
    );
    check(
        &site("name: true"),
        &["9:11: sites[0].name: expected text, but YAML reads `true` as true or false; quote it"],
    );
    check(&site("{name}: shop"), &["9:5: sites[0]: YAML reads this key as no text; quote it"]);
}

#[test]
fn a_list_does_not_stand_where_one_value_is_right() {
    check(
        &login("session_cookie: [a, b]"),
        &["9:25: sites[0].logins[0].session_cookie: expected text, not a list; write one value"],
    );
    check(
        &limit("forget: [leaky]"),
        &[
            "11:17: lockout.limits[0].forget: expected `together` or `leaky`, not a list; write one \
             value",
        ],
    );
    check(
        &file("workers: [2]"),
        &["9:10: workers: expected a whole number, not a list; write one value"],
    );
    check(
        &site("lockout: { response: [a] }"),
        &["9:26: sites[0].lockout.response: expected a mapping with `status`, `html`, `json`, \
             `redirect`, `contact`, `cors_origins` or `identify`, not a list"],
    );
}

#[test]
fn a_number_is_told_as_it_is_written() {
    check(
        &file("store: { memory: { max_counters: 1e9, max_lockouts: 2.50 } }"),
        &[
            "9:34: store.memory.max_counters: `1e9` does not fit here; write a whole number from \
             1000 to 100000000, without exponent",
            "9:53: store.memory.max_lockouts: `2.50` does not fit here; write a whole number from \
             1000 to 100000000",
        ],
    );
    check(
        &format!("anchors: {{ a: &a 1e1 }}\n{}", file("workers: *a")),
        &["10:10: workers: `10.0` does not fit here; write a whole number from 1 to 1024"],
    );
}

#[test]
fn indentation_and_structure_are_checked() {
    check(&yaml("listen: a\n\tworkers: 1"), &["2:1: a tab is no indentation in YAML; use blanks"]);
    check(
        &yaml(
            r"
        listen: a
        sites:
          - upstream: b
          logins: c
        ",
        ),
        &["4:3: YAML expects `- ` here; check the indentation, and quote text that has quotes \
             or brackets"],
    );
    check(
        &yaml(
            r"
        listen: a
        ---
        listen: b
        ",
        ),
        &[" has more than one document; remove the `---` between them"],
    );
    check(
        &yaml(
            r"
        listen: a
        sites
        ",
        ),
        &["2:1: there is no `:` behind `sites`; write `sites:`"],
    );
    check("listen: \"a\u{1}\"", &["1:11: has a control character; remove it"]);
    check("a: &a [*a]", &["1:4: is nested too deeply; at most 128 levels"]);
}

#[test]
fn a_file_has_something_in_it() {
    check(
        "",
        &[
            "1:1: is empty; write at least",
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
        "- a",
        &["1:1: expected a mapping with `listen`, `workers`, `trusted_proxies`, \
             `client_address`, `sites`, `lockout`, `access`, `store`, `admin`, `metrics`, \
             `log`, `audit`, `webhooks`, `privacy`, `user`, `group`, `sandbox`, `shutdown`, `timeouts`, `bounds` or `anchors`, not a list"],
    );
    check(
        "listen",
        &["1:1: expected a mapping with `listen`, `workers`, `trusted_proxies`, \
             `client_address`, `sites`, `lockout`, `access`, `store`, `admin`, `metrics`, \
             `log`, `audit`, `webhooks`, `privacy`, `user`, `group`, `sandbox`, `shutdown`, `timeouts`, `bounds` or `anchors`, not `listen`"],
    );
    check(&file("workers:"), &["9:1: workers: has no value; give it one or remove the key"]);
}

#[test]
fn keys_are_known_and_stand_there_once() {
    check(
        &login("methds: POST"),
        &["9:9: sites[0].logins[0].methds: unknown key; did you mean `methods`?"],
    );
    check(&login("nmae: x"), &["9:9: sites[0].logins[0].nmae: unknown key; did you mean `name`?"]);
    check(
        &login("colour: red"),
        &["9:9: sites[0].logins[0].colour: unknown key; a login may have `name`, `path`, \
             `attempts`, `methods`, `when`, `username`, `username_rewrite`, \
             `email_aliases`, `password`, `session_cookie`, `outcome`, `lockout`, `access` or `max_body`"],
    );
    check(&file("methods: POST"), &["9:1: methods: unknown key; it belongs to a login"]);
    check(
        &login(
            r"
        methods: POST
        methods: GET
        ",
        ),
        &["10:9: sites[0].logins[0].methods: stands here twice, first in line 9; remove one \
             of them"],
    );
    check(
        &login("when: { query: { a: b, a: c } }"),
        &["9:32: sites[0].logins[0].when.query.a: stands here twice, first in line 9; remove \
             one of them"],
    );
    check(
        &file("AXES_FAILURE_LIMIT: 3"),
        &["9:1: AXES_FAILURE_LIMIT: unknown key; here that is `failures` of a limit"],
    );
    check(
        &limit("maxretry: 5, bantime: 10m"),
        &[
            "11:9: lockout.limits[0].maxretry: unknown key; did you mean `failures`?",
            "11:22: lockout.limits[0].bantime: unknown key; did you mean `cool_off`?",
        ],
    );
}

#[test]
fn what_stands_too_far_left_is_to_be_indented() {
    check(
        &outcome(
            r"
        - success:
          status: 302
          set_cookie: sid
        - failure: { status: 200 }
        ",
        ),
        &[
            "9:13: sites[0].logins[0].outcome[0].success: has no value; indent `status` under it",
            "10:13: sites[0].logins[0].outcome[0].status: unknown key; indent it under `success`",
            "11:13: sites[0].logins[0].outcome[0].set_cookie: unknown key; indent it under \
             `success`",
        ],
    );
    check(
        &file("metrics:\naddress: \"127.0.0.1:81\"\nworkers: 2\nformat: json"),
        &[
            "9:1: metrics: has no value; indent `address` under it",
            "10:1: address: unknown key; indent it under `metrics`",
            "12:1: format: unknown key; it belongs to `log`",
        ],
    );
}

#[test]
fn a_key_belongs_to_the_place_that_is_near() {
    check(
        &login("status: 302"),
        &["9:9: sites[0].logins[0].status: unknown key; it belongs to `outcome.success`, \
             `outcome.failure` or `outcome.ignore`"],
    );
    check(&file("path: /login"), &["9:1: path: unknown key; it belongs to a login"]);
    check(&site("failures: 3"), &["9:5: sites[0].failures: unknown key; it belongs to a limit"]);
}

#[test]
fn an_address_of_tcp_for_operators_needs_a_token() {
    check(
        &file(r#"admin: { address: "127.0.0.1:9180" }"#),
        &["9:8: admin: needs `token_file`, as anybody here can connect over TCP; such as \
             `token_file: admin.token`, which is made if it is not there"],
    );
}
