//! Whose counters are whose: sites, logins, limits.

use crate::driven::{Driven, Setup};
use crate::support::Ask;

/// Two logins of a site and one of another, all in front of the same application.
fn sites(second: &str) -> Setup {
    let login = |path: &str, own: &str| {
        format!(
            "      - path: {path}
        username: {{ form: username }}
        password: {{ form: password }}
        {own}
        outcome: {{ success: {{ status: 302, set_cookie: session }} }}
"
        )
    };
    Setup::new(&format!(
        "sites:
  - name: {{SITE}}
    hosts: shop.test
    upstream: \"{{UPSTREAM}}\"
    logins:
{}{}  - name: other
    upstream: \"{{UPSTREAM}}\"
    logins:
{}lockout: {{ limits: {{ by: ip_address, failures: 3, cool_off: 1h }} }}
",
        login("/login", ""),
        login("/admin", second),
        login("/login", "")
    ))
}

/// A wrong guess; its outcome.
fn fail(driven: &Driven, host: &str, path: &str) -> String {
    let form = Ask::form(path, "username=u1&password=wrong");
    // the first Host counts for `Ask`, so a request for another one is spelled out
    let text = String::from_utf8(form.with("X-Forwarded-For", "10.1.1.1").bytes()).unwrap();
    let text = text.replacen("shop.test", host, 1);
    let before = driven.upstream().hits();
    let mut client = driven.client();
    let answer = client.send(text).answer();
    crate::driven::Seen { hits: driven.upstream().hits() - before, answer }.outcome()
}

#[test]
fn all_logins_that_inherit_the_sites_limits_share_its_counters() {
    let driven = Driven::start(&sites(""));
    assert_eq!(fail(&driven, "shop.test", "/login"), "fail");
    assert_eq!(fail(&driven, "shop.test", "/admin"), "fail");
    assert_eq!(fail(&driven, "shop.test", "/login"), "LOCK");
    assert_eq!(fail(&driven, "shop.test", "/admin"), "DENY");
}

#[test]
fn a_login_with_limits_of_its_own_has_counters_of_its_own() {
    let own = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 1h } }";
    let driven = Driven::start(&sites(own));
    assert_eq!(fail(&driven, "shop.test", "/admin"), "fail");
    assert_eq!(fail(&driven, "shop.test", "/admin"), "LOCK");
    assert_eq!(fail(&driven, "shop.test", "/login"), "fail");
    assert_eq!(driven.counters(), ["ip=10.1.1.1→1", "ip=10.1.1.1→2"]);
}

#[test]
fn a_login_with_other_settings_but_no_limits_shares_the_sites_counters() {
    let driven = Driven::start(&sites("lockout: { at_limit: upstream }"));
    assert_eq!(fail(&driven, "shop.test", "/login"), "fail");
    assert_eq!(fail(&driven, "shop.test", "/login"), "fail");
    assert_eq!(fail(&driven, "shop.test", "/admin"), "fail", "the upstream's own answer");
    assert_eq!(fail(&driven, "shop.test", "/login"), "DENY");
}

#[test]
fn sites_do_not_share_counters() {
    let driven = Driven::start(&sites(""));
    for _ in 0..2 {
        assert_eq!(fail(&driven, "shop.test", "/login"), "fail");
        assert_eq!(fail(&driven, "other.test", "/login"), "fail");
    }
    assert_eq!(fail(&driven, "other.test", "/login"), "LOCK");
    assert_eq!(fail(&driven, "other.test", "/login"), "DENY");
    assert_eq!(driven.counters(), ["ip=10.1.1.1→2", "ip=10.1.1.1→3"]);
    let other = loginward::store::select::Selector {
        site: Some("other".into()),
        ..loginward::store::select::Selector::default()
    };
    let removed = driven.reset(&other, loginward::store::operate::Reset::Everything);
    assert_eq!(removed.counters, 1);
    assert_eq!(fail(&driven, "shop.test", "/login"), "LOCK");
}

/// Counters are named, not numbered: a reload may change the order of everything.
#[test]
fn names_identify_counters_across_reloads() {
    let limit =
        |name: &str, by: &str| format!("{{ name: {name}, by: {by}, failures: 3, cool_off: 1h }}");
    let (one, two) = (limit("one", "ip_address"), limit("two", "username"));
    let steps = format!(
        "F(u1,A)×2→fail; set limits: [{two}, {one}]; [ip=A→2; user=u1→2]; F(u1,B)→LOCK; \
         S(u1,A)→DENY; F(u2,A)→LOCK; [ip=A→3; ip=B→1; user=u1→3; user=u2→1]"
    );
    super::check(&format!("limits: [{one}, {two}]"), &steps);
}
