//! Outcome rules.

use super::*;

#[test]
fn an_outcome_has_one_verdict_and_conditions() {
    check(
        &outcome("- sucess: { status: 302, location: /app }"),
        &["9:13: sites[0].logins[0].outcome[0].sucess: unknown key; did you mean `success`?"],
    );
    check(
        &outcome("- success: {}"),
        &["9:22: sites[0].logins[0].outcome[0].success: has no condition and would match \
             every answer; give it `status`, `location`, `header`, `set_cookie`, `body`, `json` \
             or `answer`"],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
        - ignore: {}
        - failure: {}
        ",
        ),
        &[
            "10:21: sites[0].logins[0].outcome[1].ignore: has no condition and would match \
             every answer; give it `status`, `location`, `header`, `set_cookie`, `body`, `json` \
             or `answer`",
            "11:22: sites[0].logins[0].outcome[2].failure: has no condition and would match \
             every answer; give it `status`, `location`, `header`, `set_cookie`, `body`, `json` \
             or `answer`",
        ],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
          failure: { status: 200 }
        ",
        ),
        &["9:13: sites[0].logins[0].outcome[0]: names several outcomes at once; make each an \
             item of the list of its own"],
    );
    check(
        &outcome("- {}"),
        &["9:13: sites[0].logins[0].outcome[0]: says nothing; write `success`, `failure` or \
             `ignore`"],
    );
    check(
        &outcome("- success"),
        &["9:13: sites[0].logins[0].outcome[0]: expected a mapping with `success`, `failure` \
             or `ignore`, not `success`"],
    );
    check(
        &outcome("- success: 302"),
        &["9:22: sites[0].logins[0].outcome[0].success: expected a mapping with `status`, \
             `location`, `header`, `set_cookie`, `body`, `json` or `answer`, not `302`"],
    );
}

#[test]
fn conditions_are_checked() {
    check(
        &outcome(
            "- success: { location: /app, status: [99, 600, 2xy, 300-200, 6xx, 200-299, 4XX] }",
        ),
        &[
            "9:49: sites[0].logins[0].outcome[0].success.status[0]: `99` is no status; write \
             one from 100 to 599, a range such as 200-299, or a class such as 4xx",
            "9:53: sites[0].logins[0].outcome[0].success.status[1]: `600` is no status; write \
             one from 100 to 599, a range such as 200-299, or a class such as 4xx",
            "9:58: sites[0].logins[0].outcome[0].success.status[2]: `2xy` is no status; write \
             one from 100 to 599, a range such as 200-299, or a class such as 4xx",
            "9:63: sites[0].logins[0].outcome[0].success.status[3]: `300-200` is no status; \
             write one from 100 to 599, a range such as 200-299, or a class such as 4xx",
            "9:72: sites[0].logins[0].outcome[0].success.status[4]: `6xx` is no status; write \
             one from 100 to 599, a range such as 200-299, or a class such as 4xx",
        ],
    );
    check(
        &outcome(r#"- success: { location: [app, /app, "http*", "*"] }"#),
        &["9:35: sites[0].logins[0].outcome[0].success.location[0]: `app` matches no \
             Location; begin it with `/`, `http` or `*`, such as \"/app\""],
    );
    check(
        &outcome(r#"- success: { location: /app, set_cookie: "sid=*" }"#),
        &["9:52: sites[0].logins[0].outcome[0].success.set_cookie: `sid=*` is no name of a \
             cookie; write the name alone, in which `*` stands for any text"],
    );
}

#[test]
fn what_answers_contain_is_checked() {
    check(
        &outcome(r#"- success: { location: /app, header: { "a b": c, x-a: 1 } }"#),
        &[
            "9:50: sites[0].logins[0].outcome[0].success.header.a b: is no header field; write \
             the name alone, such as x-login",
            "9:65: sites[0].logins[0].outcome[0].success.header.x-a: expected text, but YAML \
             reads `1` as a number; quote it",
        ],
    );
    check(
        &outcome("- success: { location: /app, body: ['', { regex: '(' }, { regexp: a }] }"),
        &[
            "9:47: sites[0].logins[0].outcome[0].success.body[0]: is empty",
            "9:60: sites[0].logins[0].outcome[0].success.body[1].regex: `(` is no regular \
             expression: unclosed group",
            "9:69: sites[0].logins[0].outcome[0].success.body[2].regexp: unknown key; did you \
             mean `regex`?",
        ],
    );
    check(
        &outcome(r#"- success: { json: { token: "*", /ok: true } }"#),
        &["9:32: sites[0].logins[0].outcome[0].success.json.token: is no JSON pointer; write \
             `/token`"],
    );
    check(
        &outcome("- success: { location: /app, status: [], json: {} }"),
        &[
            "9:48: sites[0].logins[0].outcome[0].success.status: is empty; name one or remove \
             the key",
            "9:58: sites[0].logins[0].outcome[0].success.json: is empty; name one or remove the \
             key",
        ],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
        - success: { answer: timeout }
        - ignore: { answer: [cut, late] }
        - ignore: { answer: cut, status: 200 }
        ",
        ),
        &[
            "10:32: sites[0].logins[0].outcome[1].success.answer: means that there is no answer \
             to look at; use it alone, under `ignore` or `failure`",
            "11:37: sites[0].logins[0].outcome[2].ignore.answer[1]: `late` is unknown; write \
             `timeout` or `cut`",
            "12:31: sites[0].logins[0].outcome[3].ignore.answer: means that there is no answer \
             to look at; use it alone, under `ignore` or `failure`",
        ],
    );
}

#[test]
fn a_success_that_the_login_form_matches_is_doubtful() {
    check(
        &outcome("- success: { status: 200 }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: the login form itself \
             answers so; add what only a success has: `location`, `set_cookie`, `json`"],
    );
    check(
        &outcome("- success: { status: 2xx }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: the login form itself \
             answers so; add what only a success has: `location`, `set_cookie`, `json`"],
    );
    check(
        &outcome("- success: { status: [200-299, 302] }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: the login form itself \
             answers so; add what only a success has: `location`, `set_cookie`, `json`"],
    );
    check(
        &outcome("- success: { body: Welcome }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: a text in the login form, or \
             one that the client sent, would be a success; add what only a success has: \
             `location`, `set_cookie`, `json`"],
    );
    check(
        &outcome("- success: { body: Welcome, status: 200 }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: a text in the login form, or \
             one that the client sent, would be a success; add what only a success has: \
             `location`, `set_cookie`, `json`"],
    );
    check(&outcome("- success: { status: 302 }"), &[]);
    check(&outcome("- success: { status: 200, set_cookie: sid }"), &[]);
    check(&outcome(r#"- success: { json: { /token: "*" } }"#), &[]);
}

#[test]
fn a_success_by_cookie_alone_is_doubtful() {
    check(
        &outcome("- success: { set_cookie: sid }"),
        &["9:22: warning: sites[0].logins[0].outcome[0].success: many applications set their \
             session cookie on failures too; add what only a success has: `status`, `location`, \
             `json`"],
    );
}

#[test]
fn an_ignore_of_what_logins_answer_is_doubtful() {
    check(
        &outcome(
            r"
        - success: { location: /app }
        - ignore: { status: 200 }
        ",
        ),
        &["10:21: warning: sites[0].logins[0].outcome[1].ignore: may be what a wrong password \
             is answered with, and then guesses are free; limit it to a `status` such as 429"],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
        - ignore: { status: 401 }
        ",
        ),
        &["10:21: warning: sites[0].logins[0].outcome[1].ignore: may be what a wrong password \
             is answered with, and then guesses are free; limit it to a `status` such as 429"],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
        - ignore: { body: maintenance }
        ",
        ),
        &["10:21: warning: sites[0].logins[0].outcome[1].ignore: may be what a wrong password \
             is answered with, and then guesses are free, also where the text in it is forged; \
             limit it to a `status` such as 503"],
    );
    check(
        &outcome(
            r"
        - success: { location: /app }
        - ignore: { status: [429, 5xx] }
        - ignore: { answer: [timeout, cut] }
        ",
        ),
        &[],
    );
}

#[test]
fn guessing_and_never_succeeding_are_doubtful() {
    check(
        &rule(
            r"
        path: /login
        username: { form: u }
        outcome: inferred
        ",
        ),
        &["7:18: warning: sites[0].logins[0].outcome: `inferred` guesses what a success looks \
             like; name what yours answers under `success`"],
    );
    check(
        &rule(
            r"
        path: /login
        username: { form: u }
        outcome: { failure: { status: 200 } }
        ",
        ),
        &["7:18: warning: sites[0].logins[0].outcome: names no success, so right passwords \
             count as failures too; name under `success` what they answer"],
    );
}
