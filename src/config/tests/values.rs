//! What comes out of a configuration that is right.

use super::*;
use crate::config::path::PathKind;
use crate::config::{Bounds, Timeouts};
use crate::policy::lockout::Limit;
use crate::policy::outcome::OutcomeRules;
use crate::policy::outcome::location::Location;
use crate::policy::route::{Access, Attempts, CounterScope, LoginRule, ResponseSettings};

/// The limits of a login, one a line.
fn limits(login: &LoginRule) -> Vec<String> {
    let line = |limit: &std::sync::Arc<Limit>| {
        let by: Vec<_> = limit.by.iter().map(|parameter| parameter.name()).collect();
        format!(
            "{}: {} x{} {:?} {:?} {:?}",
            limit.name,
            by.join(" "),
            limit.failures,
            limit.cool_off,
            limit.forget,
            limit.forget_after
        )
    };
    login.lockout.limits.iter().map(line).collect()
}

/// The login at `index` of the first site.
fn login_at(settings: &Settings, index: usize) -> &LoginRule {
    &settings.sites[0].site.logins[index]
}

#[test]
fn what_is_not_said_has_a_default() {
    let settings = settings(FLAWLESS);
    let addresses: Vec<_> = settings.listen.iter().map(|listen| &listen.address).collect();
    assert_eq!(format!("{addresses:?}"), "[Tcp(127.0.0.1:8080)]");
    assert!(settings.clients.trusted.is_empty());
    assert_eq!(settings.clients.header, "x-forwarded-for");
    assert_eq!((settings.clients.address.v4, settings.clients.address.v6), (32, 64));
    assert_eq!((settings.clients.network.v4, settings.clients.network.v6), (24, 48));
    assert_eq!((settings.store.max_counters, settings.store.max_lockouts), (200_000, 100_000));
    assert_eq!(settings.metrics, None);
    assert_eq!(settings.timeouts, Timeouts::default());
    assert_eq!(settings.bounds, Bounds::default());
    assert_eq!(
        format!("{:?}", settings.log),
        "LogSettings { format: Text, level: Level(Info), access: Off }"
    );
    let site = &settings.sites[0].site;
    assert_eq!((&*site.name, site.hosts.len(), site.access.len()), ("default", 0, 0));
    let login = login_at(&settings, 0);
    assert_eq!((&*login.name, login.max_body), ("/login", 65_536));
    assert_eq!(login.methods, [Box::<str>::from("POST")]);
    assert_eq!((login.paths[0].1, login.counters), (Attempts::All, CounterScope::Site));
    assert_eq!(login.lockout.response.status, 403);
    assert_eq!(login.lockout.wait.as_secs(), 10);
    assert_eq!(
        limits(login),
        [
            "username+ip_address: username ip_address x5 Steps([600s]) Together 600s",
            "ip_address: ip_address x50 Steps([600s]) Leaky 600s",
            "username: username x100 Steps([900s]) Leaky 3600s",
        ]
    );
}

#[test]
fn the_example_spells_the_default_limits_out() {
    let example = settings(include_str!("../../../config.example.yaml"));
    let flawless = settings(FLAWLESS);
    assert_eq!(limits(login_at(&example, 0)), limits(login_at(&flawless, 0)));
    assert_eq!((example.store, example.timeouts), (flawless.store, flawless.timeouts));
    assert_eq!((example.bounds, example.log), (flawless.bounds, flawless.log));
    let contact = Some("the help desk, 555-0100".into());
    let response = ResponseSettings { contact, ..ResponseSettings::clone(&flawless.response) };
    assert_eq!(*example.response, response);
}

#[test]
fn a_limit_takes_its_name_from_its_parameters_and_its_memory_from_its_cool_off() {
    let by = "by: [user_agent, ip_network, username]";
    let yaml = limit(&format!("{by}, failures: 3, cool_off: [5m, 1h], except: 10.0.0.0/8"));
    let settings = settings(&yaml);
    let name = "user_agent+ip_network+username: username ip_network user_agent";
    let expected = format!("{name} x3 Steps([300s, 3600s]) Together 300s");
    assert_eq!(limits(login_at(&settings, 0)), [expected]);
    let limit = &login_at(&settings, 0).lockout.limits[0];
    assert!(limit.except.contains("10.1.2.3".parse().unwrap()));
    assert_eq!(limit.forget_lockouts_after.as_secs(), 86_400);
}

#[test]
fn lockouts_are_inherited_key_by_key() {
    let yaml = yaml(
        r#"
        listen: "127.0.0.1:8080"
        lockout:
          mode: monitor
          wait: 5s
          never_lock: { networks: 10.0.0.1, usernames: root }
          response: { status: 429, contact: us, identify: false }
        sites:
          - upstream: http://a
            lockout: { wait: 7s, response: { status: 503 }, never_lock: { usernames: [a, b] } }
            logins:
              - { path: /a, username: { form: u }, outcome: { success: { location: /x } } }
              - path: /b
                username: { form: u }
                outcome: { success: { location: /x } }
                lockout:
                  mode: enforce
                  count_while_locked: true
                  limits: { by: username, failures: 3, cool_off: 1m }
              - path: /c
                username: { form: u }
                outcome: { success: { location: /x } }
                lockout: { at_limit: upstream, reset_on_success: all }
        "#,
    );
    let settings = settings(&yaml);
    let shown = |login: &LoginRule| {
        let own = &login.lockout;
        let counts = (own.mode, own.at_limit, own.reset_on_success, own.while_locked);
        let scope = (login.counters, own.limits.len());
        let answers = (own.response.status, own.response.contact.as_deref(), own.wait.as_secs());
        format!("{counts:?} {scope:?} {answers:?} {:?}", own.never_lock.usernames)
    };
    assert_eq!(
        shown(login_at(&settings, 0)),
        r#"(Monitor, Lockout, SameClient, Ignore) (Site, 3) (503, Some("us"), 7) ["a", "b"]"#
    );
    assert_eq!(
        shown(login_at(&settings, 1)),
        r#"(Enforce, Lockout, SameClient, Count) (Login, 1) (503, Some("us"), 7) ["a", "b"]"#
    );
    assert_eq!(
        shown(login_at(&settings, 2)),
        r#"(Monitor, Upstream, All, Ignore) (Site, 3) (503, Some("us"), 7) ["a", "b"]"#
    );
    assert_eq!(settings.response.status, 429);
    assert!(login_at(&settings, 1).lockout.never_lock.networks.contains([10, 0, 0, 1].into()));
}

#[test]
fn pages_are_templates_in_files() {
    let yaml =
        file("lockout: { response: { html: page.html, json: page.html, redirect: /locked } }");
    let response = settings(&yaml).response;
    assert_eq!(response.html.as_deref(), Some("<p>{{ reference }}</p>\n"));
    assert_eq!((&response.json, response.redirect.as_deref()), (&response.html, Some("/locked")));
}

#[test]
fn the_files_access_rules_come_before_the_sites() {
    let yaml =
        site("access: { only_allow: private }") + "access: { deny: \"file:networks.txt\" }\n";
    let settings = settings(&yaml);
    let admits = |access: &Access, address: &str| {
        let address = address.parse().unwrap();
        let only = access.only_allow.as_ref().is_none_or(|only| only.contains(address));
        only && !access.deny.contains(address)
    };
    let access = &settings.sites[0].site.access;
    let asked = ["192.0.2.1", "2001:db8::1", "10.1.1.1", "::1", "fe80::1", "192.0.2.2"];
    let admitted = |access| asked.map(|address| admits(access, address));
    assert_eq!(admitted(&access[0]), [false, false, true, true, true, true]);
    assert_eq!(admitted(&access[1]), [false, false, true, true, true, false]);
}

#[test]
fn addresses_of_all_kinds_are_read() {
    let yaml = listen(
        "
        listen: ['[::]:80', { address: 'unix:http.sock' }]
        trusted_proxies: [unix, private]
        ",
    );
    let settings_read = settings(&yaml);
    let sockets: Vec<_> = settings_read.listen.iter().map(|listen| &listen.address).collect();
    let expected = format!("[Tcp([::]:80), Unix({:?})]", base().join("http.sock"));
    assert_eq!(format!("{sockets:?}"), expected);
    for (url, expected) in [
        ("http://app", r#"Tcp { host: "app", port: 80 }"#),
        ("HTTP://10.0.0.1:8080/", r#"Tcp { host: "10.0.0.1", port: 8080 }"#),
        ("http://[::1]:81", r#"Tcp { host: "::1", port: 81 }"#),
        ("['http://[::1]']", r#"Tcp { host: "::1", port: 80 }"#),
        ("unix:/run/a.sock", r#"Unix("/run/a.sock")"#),
    ] {
        let settings = settings(&upstream(url));
        assert_eq!(
            format!("{:?}", settings.sites[0].upstream.servers[0].address),
            expected,
            "{url}"
        );
    }
    let hosts = settings(&site("hosts: ['*.A.example', b.example., '[::1]']"));
    let site = &hosts.sites[0].site;
    assert_eq!(&*site.name, "*.a.example");
    let expected = r#"[Below("a.example"), Exact("b.example"), Exact("[::1]")]"#;
    assert_eq!(format!("{:?}", site.hosts), expected);
}

#[test]
fn which_requests_are_attempts_depends_on_the_path() {
    let paths = "path: [/login, '/u/{name}/in', '/api/*', /]";
    let rest = "username: { form: u }\noutcome: { success: { location: /x } }";
    let settings = settings(&rule(&format!("{paths}\n{rest}")));
    let attempts: Vec<_> = login_at(&settings, 0).paths.iter().map(|(_, own)| *own).collect();
    let [all, with] = [Attempts::All, Attempts::WithCredentials];
    assert_eq!(attempts, [all, all, with, with]);
    let kind = &login_at(&settings, 0).paths[2].0.kind;
    assert_eq!(*kind, PathKind::Prefix("/api/".into()));
}

#[test]
fn outcomes_are_read_as_they_are_written() {
    let yaml = outcome(
        r#"
        - success:
            status: [302, 4xx, 200-299]
            location: [/app*, "https://a/*"]
            header: { X-Login: "ok*" }
            set_cookie: [sid, "auth*"]
            body: [welcome, { regex: "[0-9]+" }]
            json: { /token: "*", /code: 0, /errors: [], /who: null }
        - failure: { status: 200 }
        - ignore: { answer: timeout }
        "#,
    );
    let settings = settings(&yaml);
    let OutcomeRules::Listed(rules) = &login_at(&settings, 0).outcome else { panic!("listed") };
    assert_eq!(format!("{:?}", rules[0].status), "[302..=302, 400..=499, 200..=299]");
    let redirects = |to: &[u8]| {
        let location = Location::resolve(to, "shop.example", "/login");
        rules[0].location.iter().any(|pattern| location.fits(pattern))
    };
    assert!(redirects(b"/app/home") && redirects(b"https://a/") && !redirects(b"/login"));
    assert!(rules[0].header[0].0 == "x-login" && rules[0].header[0].1.matches(b"okay"));
    assert!(rules[0].set_cookie[0].matches(b"sid") && rules[0].set_cookie[1].matches(b"auth_1"));
    assert_eq!(rules[0].body.len(), 2);
    assert_eq!(
        format!("{:?}", rules[0].json),
        r#"[("/token", Present), ("/code", Value(Number(0))), ("/errors", Value(Array [])), ("/who", Value(Null))]"#
    );
    let verdicts: Vec<_> = rules.iter().map(|rule| format!("{:?}", rule.outcome)).collect();
    assert_eq!(verdicts, ["Success", "Failure", "Ignored"]);
    assert_eq!(format!("{:?}", rules[2].answer), "[Timeout]");
}

#[test]
fn basic_needs_no_outcome() {
    let settings = settings(&rule("path: /\nusername: { basic: true }"));
    assert!(matches!(login_at(&settings, 0).outcome, OutcomeRules::Basic));
    check(&rule("path: /\nusername: { basic: true }"), &[]);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let yaml = yaml(
        r#"
        anchors:
          ignored: ${NOWHERE}
          here: &here "127.0.0.1:8081"
          rule: &rule
            username: { form: u }
            methods: [POST, PUT]
            outcome: { success: { location: /x } }
        listen: "127.0.0.1:8080"
        metrics: { address: *here }
        sites:
          - upstream: http://a
            logins:
              - { path: /a, <<: *rule }
              - <<: [*rule]
                path: /b
                methods: GET
        "#,
    );
    check(&yaml, &[]);
    let settings = settings(&yaml);
    assert_eq!(login_at(&settings, 0).methods, [Box::<str>::from("POST"), Box::<str>::from("PUT")]);
    assert_eq!(login_at(&settings, 1).methods, [Box::<str>::from("GET")]);
    assert_eq!(settings.metrics.map(|address| address.port()), Some(8081));
}

#[test]
fn a_second_factor_is_counted_by_the_username_of_its_session() {
    let second = yaml(
        "
        - { path: /a, username: { form: u }, session_cookie: s, outcome: { success: { location: /x } } }
        - path: /otp
          password: { form: otp }
          session_cookie: s
          outcome: { success: { location: /x } }
          lockout: { limits: { by: username, failures: 3, cool_off: 1h } }
        ",
    );
    let yaml = format!("{}{}", first(4), indented(&second, 6));
    check(&yaml, &[]);
    let without = yaml.replace("        session_cookie: s\n", "");
    assert_ne!(without, yaml);
    check(
        &without,
        &[
            "9:28: sites[0].logins[1].lockout.limits: counts by username, but no login it is for has \
         one; give one of them `username`, or count by something else",
        ],
    );
}

#[test]
fn the_end_has_a_delay_and_a_deadline() {
    let end = |yaml: &str| {
        let shutdown = settings(&file(yaml)).shutdown;
        (shutdown.delay.as_millis(), shutdown.deadline.as_millis())
    };
    assert_eq!(end("workers: 1"), (0, 20_000));
    assert_eq!(end("shutdown: { delay: 5s, deadline: 1m }"), (5_000, 60_000));
    assert_eq!(end("shutdown: { delay: 0s }"), (0, 20_000));
    check(
        &file("shutdown: { deadline: 0s, dely: 1s }"),
        &[
            "9:23: shutdown.deadline: `0s` is no duration that fits here; it has to be at least 1ms",
            "9:27: shutdown.dely: unknown key; did you mean `delay`?",
        ],
    );
    check(
        &file("timeouts: { shutdown: 1s }"),
        &["9:13: timeouts.shutdown: unknown key; it belongs to the file"],
    );
}
