//! How failures are counted, and what refused clients see.

use super::*;

#[test]
fn a_limit_has_parameters_failures_and_a_cool_off() {
    check(
        &file("lockout: { limits: [] }"),
        &["9:20: lockout.limits: is empty and would count nothing; name at least one limit"],
    );
    check(
        &file("lockout: { limits: { except: [] } }"),
        &[
            "9:20: lockout.limits: needs `by`; such as `by: [username, ip_address]`",
            "9:20: lockout.limits: needs `failures`; such as `failures: 5`",
            "9:20: lockout.limits: needs `cool_off`; such as `cool_off: 10m`",
        ],
    );
    check(
        &limit("by: []"),
        &["11:13: lockout.limits[0].by: is empty; name `username`, `ip_address`, `ip_network` \
             or `user_agent`"],
    );
    check(
        &limit("by: [username, username]"),
        &["11:24: lockout.limits[0].by[1]: names `username` twice; name it once"],
    );
    check(
        &limit("by: [ip]"),
        &["11:14: lockout.limits[0].by[0]: `ip` is unknown; write `username`, `ip_address`, \
             `ip_network` or `user_agent`"],
    );
    check(
        &limit("by: [usernam, ip_adress, foo]"),
        &[
            "11:14: lockout.limits[0].by[0]: `usernam` is unknown; did you mean `username`?",
            "11:23: lockout.limits[0].by[1]: `ip_adress` is unknown; did you mean `ip_address`?",
            "11:34: lockout.limits[0].by[2]: `foo` is unknown; write `username`, `ip_address`, \
             `ip_network` or `user_agent`",
        ],
    );
    check(
        &limit("by: ip_adress"),
        &["11:13: lockout.limits[0].by: `ip_adress` is unknown; did you mean `ip_address`?"],
    );
    check(
        &limit("failures: 0"),
        &["11:19: lockout.limits[0].failures: `0` does not fit here; write a whole number \
             from 1 to 1000000"],
    );
    check(
        &limit("failures: five"),
        &["11:19: lockout.limits[0].failures: `five` does not fit here; write a whole number \
             from 1 to 1000000"],
    );
    check(
        &limit("failures: 1.5"),
        &["11:19: lockout.limits[0].failures: `1.5` does not fit here; write a whole number \
             from 1 to 1000000"],
    );
    check(
        &limit(r#"name: "a\nb""#),
        &["11:15: lockout.limits[0].name: `a\\nb` is no name; write at most 200 bytes on one \
             line"],
    );
}

#[test]
fn durations_of_a_limit_have_units_and_are_not_nothing() {
    check(
        &limit("cool_off: 0s"),
        &["11:19: lockout.limits[0].cool_off: `0s` is no duration that fits here; it has to \
             be at least 1s"],
    );
    check(
        &limit("cool_off: 999ms"),
        &["11:19: lockout.limits[0].cool_off: `999ms` is no duration that fits here; it has \
             to be at least 1s"],
    );
    check(
        &limit("cool_off: 10"),
        &["11:19: lockout.limits[0].cool_off: `10` is no duration that fits here; it needs a \
             unit: ms, s, m, h or d, such as 10m"],
    );
    check(
        &limit("cool_off: [5m, 1x]"),
        &["11:24: lockout.limits[0].cool_off[1]: `1x` is no duration that fits here; the \
             units are ms, s, m, h and d, such as 10m"],
    );
    check(
        &limit("cool_off: []"),
        &["11:19: lockout.limits[0].cool_off: is empty; write a duration such as 10m, or \
             `never`"],
    );
    check(
        &limit("cool_off: forever"),
        &["11:19: lockout.limits[0].cool_off: `forever` is no duration that fits here; write \
             a duration such as 500ms, 1.5s, 10m, 2h or 1d"],
    );
    check(
        &limit("forget_after: 0s"),
        &["11:23: lockout.limits[0].forget_after: `0s` is no duration that fits here; it has \
             to be at least 1ms"],
    );
    check(
        &limit("forget: slowly"),
        &["11:17: lockout.limits[0].forget: `slowly` is unknown; write `together` or `leaky`"],
    );
    check(
        &limit("forget_lockouts_after: 0s"),
        &["11:32: lockout.limits[0].forget_lockouts_after: `0s` is no duration that fits \
             here; it has to be at least 1ms"],
    );
    check(
        &limit("except: here"),
        &["11:17: lockout.limits[0].except: `here` is no network; write an address, a network \
             such as 10.0.0.0/8, `private` or `file:PATH`"],
    );
}

#[test]
fn two_limits_need_two_names() {
    check(
        &file(
            r"
        lockout:
          limits:
            - { by: ip_address, failures: 5, cool_off: 10m }
            - { by: ip_address, failures: 9, cool_off: 1h }
        ",
        ),
        &["12:7: lockout.limits[1]: there are two limits `ip_address`; give one of them \
             another `name`"],
    );
}

#[test]
fn never_is_doubtful_and_needs_forget_after() {
    check(
        &limit("cool_off: never, forget_after: 1h"),
        &["11:19: warning: lockout.limits[0].cool_off: a lockout lasts until \
             `loginward reset`, also for somebody who only forgot a password; rather escalate, such as `[5m, 1h, 1d]`"],
    );
    check(
        &limit("cool_off: never"),
        &[
            "11:7: lockout.limits[0]: needs `forget_after`, for there is no cool-off to take it \
             from; such as `forget_after: 1h`",
            "11:19: warning: lockout.limits[0].cool_off: a lockout lasts until \
             `loginward reset`, also for somebody who only forgot a password; rather escalate, such as `[5m, 1h, 1d]`",
        ],
    );
}

#[test]
fn a_username_limit_needs_a_username() {
    check(
        &yaml(
            r#"
        listen: "127.0.0.1:8080"
        sites:
          - upstream: http://127.0.0.1:3000
            logins:
              - path: /login
                password: { form: p }
                outcome: { success: { status: 302, location: /app } }
        lockout:
          limits:
            - { by: ip_address, failures: 5, cool_off: 10m }
            - { by: [username, ip_address], failures: 5, cool_off: 10m }
        "#,
        ),
        &["11:7: lockout.limits[1]: counts by username, but no login it is for has one; give \
             one of them `username`, or count by something else"],
    );
    check(&login("lockout: { limits: { by: username, failures: 3, cool_off: 1h } }"), &[]);
}

#[test]
fn lockout_settings_are_words_and_values() {
    check(
        &file(
            "lockout: { mode: monitoring, at_limit: guard, reset_on_success: true, count_while_locked: no, wait: 10 }",
        ),
        &[
            "9:18: lockout.mode: `monitoring` is unknown; did you mean `monitor`?",
            "9:40: lockout.at_limit: `guard` is unknown; write `lockout` or `upstream`",
            "9:65: lockout.reset_on_success: expected `none`, `same_client` or `all`, not `true`",
            "9:91: lockout.count_while_locked: expected true or false, not `no`",
            "9:101: lockout.wait: `10` is no duration that fits here; it needs a unit: ms, s, \
             m, h or d, such as 10m",
        ],
    );
    check(
        &file("lockout: { never_lock: { networks: here, usernames: [7], user: x } }"),
        &[
            "9:36: lockout.never_lock.networks: `here` is no network; write an address, a \
             network such as 10.0.0.0/8, `private` or `file:PATH`",
            "9:54: lockout.never_lock.usernames[0]: expected text, but YAML reads `7` as a \
             number; quote it",
            "9:58: lockout.never_lock.user: unknown key; it belongs to the file",
        ],
    );
}

#[test]
fn responses_are_refusals() {
    check(
        &file(
            r#"lockout: { response: { status: 200, identify: 1, contact: "", redirect: locked, cors_origins: ["https://a/b", "*", a] } }"#,
        ),
        &[
            "9:32: lockout.response.status: `200` does not fit here; write a whole number from \
             400 to 599",
            "9:47: lockout.response.identify: expected true or false, not `1`",
            "9:59: lockout.response.contact: is empty",
            "9:73: lockout.response.redirect: `locked` leads nowhere; write a path such as \
             /locked.html or an http or https URL",
            "9:96: lockout.response.cors_origins[0]: `https://a/b` is no origin; write one such \
             as https://app.example.com, without a path, or \"*\"",
            "9:116: lockout.response.cors_origins[2]: `a` is no origin; write one such as \
             https://app.example.com, without a path, or \"*\"",
        ],
    );
    check(
        &file("lockout: { response: { html: missing.html, json: broken.html } }"),
        &[
            "9:30: lockout.response.html: cannot read the file `missing.html`: there is no such \
             file",
            "9:50: lockout.response.json: line 2 of `broken.html` is no template: unexpected \
             `}`, expected end of variable block",
        ],
    );
}

#[test]
fn the_process_has_settings() {
    check(
        &file(
            r"
        workers: 0
        log: { format: xml, level: inf, access: all }
        metrics: { address: localhost }
        ",
        ),
        &[
            "9:10: workers: `0` does not fit here; write a whole number from 1 to 1024",
            "10:16: log.format: `xml` is unknown; write `text` or `json`",
            "10:28: log.level: `inf` is unknown; did you mean `info`?",
            "10:41: log.access: expected true or false, not `all`",
            "11:21: metrics.address: `localhost` is no address with a port; write one such as \
             \"127.0.0.1:8080\" or \"[::1]:8080\"",
        ],
    );
    check(
        &file(
            r"
        store: { memory: { max_counters: 10, max_lockouts: many } }
        timeouts: { head: 0s, idle: 5 }
        bounds: { headers: 1, head: 1B, connections: 0 }
        ",
        ),
        &[
            "9:34: store.memory.max_counters: `10` does not fit here; write a whole number from \
             1000 to 100000000",
            "9:52: store.memory.max_lockouts: `many` does not fit here; write a whole number \
             from 1000 to 100000000",
            "10:19: timeouts.head: `0s` is no duration that fits here; it has to be at least 1ms",
            "10:29: timeouts.idle: `5` is no duration that fits here; it needs a unit: ms, s, \
             m, h or d, such as 10m",
            "11:20: bounds.headers: `1` does not fit here; write a whole number from 10 to 1000",
            "11:29: bounds.head: `1B` is no size that fits here; write a size from 4KiB to 1MiB",
            "11:46: bounds.connections: `0` does not fit here; write a whole number from 1 to \
             1000000",
        ],
    );
}
