//! D2. How long things are, exactly.

use loginward::config::Settings;

use crate::driven::Setup;
use crate::driven::play::play;

/// A lockout that is written like this lasts so many milliseconds.
#[track_caller]
fn lasts(written: &str, millis: u64) {
    let limit = format!("limits: {{ by: ip_address, failures: 1, cool_off: {written} }}");
    let steps =
        format!("F(u1,A)→LOCK; wait {}ms; S(u1,A)→DENY; wait 1ms; S(u1,A)→ok; [—]", millis - 1);
    play(written, &Setup::lockout(&limit), &steps);
}

/// What is wrong with a cool-off that is written like this.
#[track_caller]
fn complaint(written: &str) -> String {
    let limit = format!("limits: {{ by: ip_address, failures: 1, cool_off: {written} }}");
    let text = Setup::lockout(&limit).text("http://127.0.0.1:1", "site");
    let problems = Settings::parse(&text, ".".as_ref(), "test.yaml").unwrap_err().to_string();
    assert!(problems.starts_with("test.yaml:") && problems.contains("cool_off"), "{problems}");
    problems
}

/// Axes: a number is hours.
#[test]
fn d01_d07_a_duration_needs_a_unit() {
    for written in ["3", "\"90\"", "2.0"] {
        assert!(complaint(written).contains("needs a unit"), "{written}");
    }
    lasts("3h", 10_800_000);
}

#[test]
fn d02_d03_d09_d10_d11_d12_d13_durations_last_as_long_as_they_say() {
    for (written, seconds) in [
        ("2.0h", 7200),
        ("0.25h", 900),
        ("1.7h", 6120),
        ("0.5h", 1800),
        ("420s", 420),
        ("178928s", 178_928), // 1 d 25 h 42 min 8 s
        ("605142s", 605_142), // 7 d 342 s
        ("162m", 9720),
        ("72042s", 72_042),
        ("5m", 300),
        ("9005s", 9005),
        ("9005m", 540_300),
        ("15d", 1_296_000),
    ] {
        lasts(written, seconds * 1000);
    }
}

#[test]
fn d04_never_is_a_word_of_its_own() {
    play(
        "D04",
        &Setup::lockout(
            "limits: { by: ip_address, failures: 1, cool_off: never, forget_after: 1s }",
        ),
        "F(u1,A)→LOCK; wait 10000000000s; S(u1,A)→DENY; [ip=A→1]; reset(ip=A)→1; S(u1,A)→ok",
    );
}

/// Axes: 0 expires at once, `True` is an hour.
#[test]
fn d05_d06_nothing_and_yes_are_no_durations() {
    assert!(complaint("0s").contains("at least 1s"));
    assert!(complaint("true").contains("`true`"));
}

/// Axes: fractions are cut, and rounded in what is shown.
#[test]
fn d14_fractions_are_exact_and_less_than_a_second_is_refused() {
    lasts("1.5s", 1500);
    lasts("2.5s", 2500);
    lasts("59.7s", 59_700);
    assert!(complaint("0.4s").contains("at least 1s"));
}

/// Axes: with tiers and no cool-off the key never expires, whatever `Retry-After` said.
#[test]
fn d17_a_cool_off_that_grows_ends_each_time() {
    play(
        "D17",
        &Setup::lockout("limits: { by: ip_address, failures: 2, cool_off: [1s, 3s] }"),
        "F(u1,A)→fail; F(u1,A)→LOCK; wait 999ms; S(u1,A)→DENY; wait 1ms; \
         F(u1,A)→fail; F(u1,A)→LOCK; wait 2999ms; S(u1,A)→DENY; wait 1ms; S(u1,A)→ok",
    );
}
