//! The thin path, end to end.

use crate::support::{Guard, Upstream};

#[test]
fn a_request_reaches_the_upstream_and_its_answer_the_client() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    let answer = guard.client().get("/page?x=1");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(upstream.only_request().target, "/page?x=1");
}

#[test]
fn wrong_passwords_lock_at_the_limit_and_are_refused_from_then_on() {
    let upstream = Upstream::shop();
    let guard = Guard::start(
        "lockout: { limits: { by: [username, ip_address], failures: 3, cool_off: 10m } }",
        &upstream,
    );
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "wrong").verdict(), (200, ""));
    assert_eq!(client.log_in("bob", "wrong").verdict(), (200, ""));
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(client.log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 3);
    assert_eq!(client.log_in("eve", "right").verdict(), (302, ""));
    assert_eq!(guard.wait_for_event("locked_out").get("username"), "bob");
}
