//! The metrics listener.

use crate::support::{Guard, Upstream};

const TWO: &str = "lockout: { limits: { by: ip_address, failures: 2, cool_off: 10m } }";

#[test]
fn it_says_that_the_guard_is_alive_and_ready() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for path in ["/livez", "/readyz"] {
        let answer = guard.metrics_page(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"), "{path}");
    }
    assert_eq!(guard.metrics_page("/").status, 404);
    assert_eq!(upstream.hits(), 0);
    assert_eq!(guard.client().get("/metrics").text(), "hello", "that is the application's");
}

#[test]
fn it_counts_attempts_lockouts_and_answers() {
    let upstream = Upstream::shop();
    let guard = Guard::start(TWO, &upstream);
    guard.client().log_in("bob", "right");
    for _ in 0..3 {
        guard.client().log_in("bob", "wrong");
    }
    guard.client().send("nonsense\r\n\r\n").answer();
    let metrics = guard.metrics();
    for line in [
        r#"loginward_attempts_total{site="shop",login="/login",outcome="failure",basis="unmatched"} 2"#,
        r#"loginward_attempts_total{site="shop",login="/login",outcome="success",basis="rule"} 1"#,
        r#"loginward_lockouts_total{site="shop",login="/login"} 1"#,
        r#"loginward_answers_total{kind="locked"} 2"#,
        r#"loginward_answers_total{kind="refused"} 1"#,
        "loginward_lockouts_in_force 1",
        "loginward_places 0",
        "loginward_waiting 0",
    ] {
        assert!(metrics.lines().any(|own| own == line), "{line} in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"), "it is OpenMetrics");
    for name in ["bob", "127.0.0.1"] {
        assert!(!metrics.contains(name), "{name} in\n{metrics}");
    }
}

#[test]
fn without_an_address_there_is_none() {
    let upstream = Upstream::hello();
    let guard = Guard::start("metrics: none", &upstream);
    assert_eq!(guard.client().get("/").status, 200);
    assert!(guard.events("metrics_listening").is_empty());
}
