//! Promise 6: a request is charged for all it offers; and for a session's owner where it names
//! nobody.

use crate::driven::{Driven, Seen, Setup};
use crate::support::Ask;

const BY_NAME: &str = "limits: { by: username, failures: 5, cool_off: 1h }";

fn post(driven: &Driven, form: &str) -> Seen {
    driven.ask(&Ask::form("/login", form).with("X-Forwarded-For", "10.1.1.1"))
}

#[test]
fn a_request_that_offers_several_usernames_is_charged_to_each() {
    let driven = Driven::start(&Setup::lockout(BY_NAME));
    let four = "username=a&username=b&username=c&username=d&password=wrong";
    assert_eq!(post(&driven, four).outcome(), "fail");
    assert_eq!(driven.counters(), ["user=a→1", "user=b→1", "user=c→1", "user=d→1"]);
    // spellings of one account are one
    assert_eq!(post(&driven, "username=a&username=A&password=wrong").outcome(), "fail");
    assert_eq!(driven.counters()[0], "user=a→2");
    for _ in 0..2 {
        post(&driven, "username=a&password=wrong");
    }
    assert_eq!(post(&driven, "username=a&password=wrong").outcome(), "LOCK");
    assert_eq!(post(&driven, "username=b&username=a&password=good").outcome(), "DENY");
}

#[test]
fn a_request_that_offers_more_than_four_usernames_is_refused() {
    let driven = Driven::start(&Setup::lockout(BY_NAME));
    let five = "username=a&username=b&username=c&username=d&username=e&password=good";
    assert_eq!(post(&driven, five).outcome(), "!400");
    assert_eq!(driven.counters(), Vec::<String>::new());
}

#[test]
fn guesses_of_one_request_are_all_counted_and_refused_where_they_are_too_many() {
    let driven = Driven::start(&Setup::lockout(BY_NAME));
    assert_eq!(post(&driven, "username=u1&password=a&password=b&password=c").outcome(), "fail");
    assert_eq!(driven.counters(), ["user=u1→3"]);
    // never queued: it would not fit whatever became free
    assert_eq!(post(&driven, "username=u1&password=a&password=b&password=c").outcome(), "!400");
    assert_eq!(driven.counters(), ["user=u1→3"], "what was not sent is not charged");
    assert_eq!(post(&driven, "username=u1&password=a&password=b").outcome(), "LOCK");
}

const TWO_STEPS: &str = "sites:
  - name: {SITE}
    upstream: \"{UPSTREAM}\"
    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        session_cookie: session
        outcome: { success: { status: 302, set_cookie: session } }
      - path: /code
        password: { form: password }
        session_cookie: session
        outcome: { success: { status: 302, set_cookie: session } }
lockout:
  limits:
    - { by: username, failures: 3, cool_off: 1h }
    - { by: ip_address, failures: 9, cool_off: 1h }
";

#[test]
fn a_second_factors_codes_are_charged_to_whom_the_session_belongs_to() {
    let driven = Driven::start(&Setup::new(TWO_STEPS));
    let first = post(&driven, "username=u1&password=good");
    assert_eq!(first.outcome(), "ok");
    let cookie = first.answer.get("set-cookie").unwrap().to_owned();
    let code = |cookie: &str, ip: &str| {
        let ask = Ask::form("/code", "password=000000").with("X-Forwarded-For", ip);
        driven.ask(&ask.with("Cookie", cookie)).outcome()
    };
    assert_eq!(code(&cookie, "10.1.1.1"), "fail");
    let known = "user=(known by its session)→1";
    assert_eq!(driven.counters(), ["ip=10.1.1.1→1", known]);
    // from other addresses as well
    assert_eq!(code(&cookie, "10.2.2.2"), "fail");
    assert_eq!(code(&cookie, "10.2.2.3"), "LOCK");
    assert_eq!(code(&cookie, "10.3.3.4"), "DENY");
    assert_eq!(post(&driven, "username=u1&password=good").outcome(), "DENY", "it is u1's counter");
    assert_eq!(post(&driven, "username=u2&password=good").outcome(), "ok");
    // a session that nobody knows is counted by address alone
    assert_eq!(code("session=999", "10.3.3.4"), "fail");
}
