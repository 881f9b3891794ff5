//! Methods, and what claims to be another one.

use super::{GUESS, ONE, Sealed};
use crate::support::Ask;

#[test]
fn a_password_makes_a_login_of_every_method() {
    let sealed = Sealed::new();
    let methods =
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "Post", "FOO", "LOGIN"];
    for method in methods {
        sealed.stops(Ask::new(method, &format!("/login?{GUESS}")).bytes());
        sealed.stops(Ask::new(method, &format!("/LOGIN/?a=b&{GUESS}")).bytes());
        let form = Ask::new(method, "/login").body("application/x-www-form-urlencoded", GUESS);
        sealed.stops(form.bytes());
        let parts = Ask::new(method, "/login?username=victim");
        sealed.stops(parts.body("application/x-www-form-urlencoded", "password=x").bytes());
    }
}

#[test]
fn a_listed_method_is_one_in_every_case() {
    let rule = ONE.replace("        password: { form: password }\n", "");
    let sealed = Sealed::with(&rule);
    for method in ["POST", "post", "Post", "pOST"] {
        let form = Ask::new(method, "/login").body("application/x-www-form-urlencoded", GUESS);
        sealed.stops(form.bytes());
    }
}

#[test]
fn a_method_that_is_overridden_is_judged_as_both() {
    // a rule that only the method makes an attempt of: the username may be anywhere
    let rule = ONE
        .replace("        username: { form: username }\n        password: { form: password }\n", "")
        .replace("by: username", "by: ip_address");
    let upstream = crate::support::Upstream::shop();
    let guard = crate::support::Guard::start(&rule, &upstream);
    assert_eq!(guard.ask(&Ask::form("/login", GUESS)).verdict(), (403, "locked"));
    for name in
        ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override"]
    {
        for method in ["PUT", "GET", "DELETE"] {
            let ask = Ask::new(method, "/login").with(name, "post");
            assert_eq!(guard.ask(&ask).verdict(), (403, "locked"), "{method} {name}");
        }
    }
    let by_query = Ask::new("PUT", "/login?a=b&%5fmethod=POST");
    assert_eq!(guard.ask(&by_query).verdict(), (403, "locked"));
    let other = Ask::form("/login?_method=GET", GUESS).with("X-HTTP-Method-Override", "GET");
    assert_eq!(guard.ask(&other).verdict(), (403, "locked"), "a POST stays one");
    assert_eq!(upstream.hits(), 1);
    let form = Ask::get("/login").with("X-HTTP-Method-Override", "GET");
    assert_eq!(guard.ask(&form).status, 200);
}
