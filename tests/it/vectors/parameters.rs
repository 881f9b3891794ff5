//! C. What is counted by.

use loginward::config::Settings;

use super::{Vector, check, vector};
use crate::driven::Setup;

/// One parameter, or several taken together.
const ONE: &[Vector] = &[
    vector("V029", "FAILURE_LIMIT=10", "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u1,A)→DENY", "ip=A→11")
        .ignoring("ip=A→10"),
    vector("V031", "FAILURE_LIMIT=10", "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u2,A)→DENY", "ip=A→11")
        .ignoring("ip=A→10"),
    vector(
        "V033",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['username']",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u1,A)→DENY",
        "user=u1→11",
    )
    .ignoring("user=u1→10"),
    vector(
        "V035",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['username']",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u2,A)→ok",
        "user=u1→10",
    ),
    vector(
        "V037",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u1,A)→DENY",
        "user+ip=u1,A→11",
    )
    .ignoring("user+ip=u1,A→10"),
    vector(
        "V039",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u2,A)→ok",
        "user+ip=u1,A→10",
    ),
    vector(
        "V045",
        "FAILURE_LIMIT=2, LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(u1,A)→fail; F(u1,B)→fail; F(u2,A)→fail; F(u1,A)→LOCK; F(u1,B)→LOCK; S(u2,B)→ok",
        "user+ip=u1,A→2; user+ip=u1,B→2; user+ip=u2,A→1",
    ),
    vector(
        "V053",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=[['ip_address', 'user_agent']]",
        "F(x,A,t1)×9→fail; F(x,A,t1)→LOCK; F(x,A,t1)→DENY; F(x,A,t2)→fail",
        "ip+ua=A,t1→11; ip+ua=A,t2→1",
    )
    .ignoring("ip+ua=A,t1→10; ip+ua=A,t2→1"),
    // overruled: every spelling that an upstream may take for the same account is one counter
    vector(
        "V065",
        "LOCKOUT_PARAMETERS=['username']",
        "F(u1,A)→fail; F(U1,A)→fail; F(\"u1 \",A)→LOCK; F(\" u1\",A)→DENY",
        "user=u1→4",
    )
    .ignoring("user=u1→3"),
    vector(
        "V067",
        "LOCKOUT_PARAMETERS=['user_agent']",
        "F(u1,A,\"A\"×255+\"1\")→fail; F(u1,A,\"A\"×255+\"2\")→fail; F(u1,A,\"A\"×255+\"3\")→LOCK; \
         F(u1,A,\"A\"×254)→fail",
        "ua=\"A\"×255→3; ua=\"A\"×254→1",
    ),
];

/// Several limits, any of which locks. Where axes counts a refused attempt on every counter, here
/// it counts on those that are locked and on no others (V046, V059).
const SEVERAL: &[Vector] = &[
    vector(
        "V041",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u1,A)→DENY",
        "ip=A→11; user=u1→11",
    )
    .ignoring("ip=A→10; user=u1→10"),
    vector(
        "V043",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×9→fail; F(u1,A)→LOCK; S(u2,A)→DENY",
        "ip=A→11; user=u1→10",
    )
    .ignoring("ip=A→10; user=u1→10"),
    vector(
        "V046",
        "FAILURE_LIMIT=2, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)→fail; F(u1,A)→LOCK; F(u2,A)×2→DENY; S(u2,B)→ok",
        "ip=A→4; user=u1→2",
    )
    .ignoring("ip=A→2; user=u1→2"),
    vector(
        "V047",
        "FAILURE_LIMIT=3, LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)→fail; F(u1,B)→fail; F(u2,A)→fail; F(u1,B)→LOCK; S(u2,B)→ok",
        "ip=A→2; ip=B→2; user=u1→3; user=u2→1",
    ),
    vector(
        "V049",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['ip_address', 'username', 'user_agent']",
        "F(x,A,t1)×9→fail; F(x,A,t1)→LOCK; F(x,A,t1)→DENY; F(x,B,t2)→DENY; F(y,A,t2)→DENY; \
         F(y,B,t1)→DENY; F(y,B,t2)→fail",
        "ip=A→12; ip=B→1; ua=t1→12; ua=t2→1; user=x→12; user=y→1",
    )
    .ignoring("ip=A→10; ip=B→1; ua=t1→10; ua=t2→1; user=x→10; user=y→1"),
    vector(
        "V051",
        "FAILURE_LIMIT=10, LOCKOUT_PARAMETERS=['ip_address', ['username', 'user_agent']]",
        "F(x,A,t1)×9→fail; F(x,A,t1)→LOCK; F(x,A,t1)→DENY; F(y,A,t2)→DENY; F(x,B,t1)→DENY; \
         F(y,B,t1)→fail; F(x,B,t2)→fail; F(y,B,t2)→fail",
        "ip=A→12; ip=B→3; user+ua=x,t1→12; user+ua=x,t2→1; user+ua=y,t1→1; user+ua=y,t2→1",
    )
    .ignoring("ip=A→10; ip=B→3; user+ua=x,t1→10; user+ua=x,t2→1; user+ua=y,t1→1; user+ua=y,t2→1"),
    vector(
        "V055",
        "LOCKOUT_PARAMETERS=['ip_address', ['username', 'user_agent']]",
        "F(u1,A,x)→fail; F(u1,B,x)→fail; F(u2,A,x)→fail; F(u1,C,x)→LOCK; \
         [ip=A→2; ip=B→1; ip=C→1; user+ua=u1,x→3; user+ua=u2,x→1]; S(u1,D,y)→ok",
        "ip=A→2; ip=B→1; ip=C→1; user+ua=u1,x→3; user+ua=u2,x→1",
    ),
    vector(
        "V059",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(u1,A)×2→fail; F(u1,A)→LOCK; F(u2,A)×3→DENY; S(u2,B)→ok",
        "ip=A→6; user=u1→3",
    )
    .ignoring("ip=A→3; user=u1→3"),
];

/// Where axes' keys are bare concatenations, two combinations share one. Here none do.
const APART: &[Vector] = &[
    vector(
        "V061",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(10.2.2.2,A)×2→fail; F(10.2.2.2,A)→LOCK; S(u1,B)→ok",
        "ip=A→3; user=10.2.2.2→3",
    ),
    vector(
        "V062",
        "LOCKOUT_PARAMETERS=['username', 'ip_address']",
        "F(n*,B)×2→fail; F(n*,B)→LOCK; F(10.2.2.2,A)→fail",
        "ip=A→1; ip=B→3; user=name1→1; user=name2→1; user=name3→1; user=10.2.2.2→1",
    ),
    vector(
        "V063",
        "LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(bob1,1.2.3.4)×2→fail; F(bob1,1.2.3.4)→LOCK; F(bob,11.2.3.4)→fail",
        "user+ip=bob1,1.2.3.4→3; user+ip=bob,11.2.3.4→1",
    ),
    vector(
        "V064",
        "LOCKOUT_PARAMETERS=[['username', 'ip_address']]",
        "F(bob1,1.2.3.4)×2→fail; F(bob1,1.2.3.4)→LOCK; S(bob,11.2.3.4)→ok",
        "user+ip=bob1,1.2.3.4→3",
    ),
];

#[test]
fn failures_are_counted_by_one_parameter_or_by_several_together() {
    check(ONE);
}

#[test]
fn of_several_limits_any_locks_and_a_refusal_touches_none_that_is_not_locked() {
    check(SEVERAL);
}

#[test]
fn no_two_combinations_share_a_counter() {
    check(APART);
}

/// In axes they change the arithmetic, or count everybody together.
#[test]
fn v056_v057_duplicates_and_empty_combinations_are_no_configuration() {
    for (limits, complaint) in [
        ("{ by: [username, username], failures: 3, cool_off: 1m }", "names `username` twice"),
        (
            "[{ by: username, failures: 3, cool_off: 1m }, { by: username, failures: 3, cool_off: 1m }]",
            "there are two limits `username`",
        ),
        ("{ by: [], failures: 3, cool_off: 1m }", "is empty"),
        ("{ by: [[]], failures: 3, cool_off: 1m }", "by[0]"),
        ("[]", "is empty and would count nothing"),
    ] {
        let setup = Setup::lockout(&format!("limits: {limits}"));
        let text = setup.text("http://127.0.0.1:1", "site");
        let problems = Settings::parse(&text, ".".as_ref(), "test.yaml").unwrap_err().to_string();
        assert!(problems.contains(complaint), "{limits}: {problems}");
    }
}
