//! What refused clients see: a page, a JSON document, or what the operator has written.

use crate::support::{Answer, Ask, Client, Guard, Setup, Upstream};

const LIMITS: &str =
    "limits: { by: [username, ip_address], failures: 1, cool_off: 10m, forget_after: 10m }";

/// The answers of a guard with these `response` settings to somebody who is locked out and sends
/// what `asks` say.
fn locked(response: &str, asks: &[Ask]) -> Vec<Answer> {
    locked_by(Setup::new(&format!("lockout: {{ {LIMITS}, response: {{ {response} }} }}")), asks)
}

fn locked_by(setup: Setup, asks: &[Ask]) -> Vec<Answer> {
    let upstream = Upstream::shop();
    let guard = setup.upstream(&upstream).start();
    assert_ne!(guard.client().log_in("bob", "wrong").status, 200);
    let answers = asks.iter().map(|ask| guard.ask(ask)).collect();
    assert_eq!(upstream.hits(), 1);
    answers
}

fn only(mut answers: Vec<Answer>) -> Answer {
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn bob() -> Ask {
    Ask::login("bob", "secret-guess")
}

fn json(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.get("content-type"), Some("application/problem+json"));
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn a_browser_gets_a_page_that_says_what_happened_and_what_to_do() {
    let answer = only(locked("contact: \"the <help> desk\"", &[bob().with("Accept", "text/html")]));
    assert_eq!(answer.verdict(), (403, "locked"));
    assert_eq!(answer.get("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.get("cache-control"), Some("no-store"));
    let left: u64 = answer.get("retry-after").unwrap().parse().unwrap();
    assert!((590..=600).contains(&left), "{left}");
    let page = answer.text();
    for part in [
        "<!doctype html>",
        "<html lang=\"en\">",
        "<h1>Too many failed sign-in attempts</h1>",
        "try again in 10 minutes",
        "the &lt;help&gt; desk",
        answer.get("x-loginward-ref").unwrap(),
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    for part in ["bob", "secret-guess", "<help>", "<script", "shop"] {
        assert!(!page.contains(part), "{part} in {page}");
    }
}

#[test]
fn a_program_gets_a_problem_document() {
    let login = Ask::new("POST", "/login")
        .body("application/json", "{\"user\": \"bob\", \"password\": \"wrong\"}");
    let asks = [
        bob().with("Accept", "application/json"),
        bob().with("Accept", "application/problem+json, */*;q=0.5"),
        bob().with("X-Requested-With", "XMLHttpRequest"),
        login,
    ];
    for answer in locked("contact: \"a \\\"desk\\\"\"", &asks) {
        assert_eq!(answer.verdict(), (403, "locked"));
        let problem = json(&answer);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], "Too many failed sign-in attempts");
        assert_eq!(problem["status"], 403);
        assert_eq!(problem["ref"], answer.get("x-loginward-ref").unwrap());
        assert_eq!(problem["contact"], "a \"desk\"");
        assert_eq!(problem["retry_after"].to_string(), answer.get("retry-after").unwrap());
        assert!(problem["detail"].as_str().unwrap().contains("try again in"));
        assert!(!answer.text().contains("bob"));
    }
}

#[test]
fn whoever_also_takes_a_page_gets_a_page() {
    let asks = [
        bob(),
        bob().with("Accept", "text/html,application/json;q=0.9"),
        bob().with("Accept", "*/*"),
        bob().with("Accept", "nonsense"),
    ];
    for answer in locked("", &asks) {
        assert_eq!(answer.get("content-type"), Some("text/html; charset=utf-8"));
    }
}

#[test]
fn refusals_of_every_kind_come_in_both_formats() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    for accept in ["text/html", "application/json"] {
        let ask = Ask::form("/login", &"user=x&".repeat(10_000)).with("Accept", accept);
        let answer = guard.ask(&ask);
        assert_eq!(answer.verdict(), (413, "refused"));
        assert!(answer.get("content-type").unwrap().contains(&accept[accept.len() - 4..]));
    }
}

#[test]
fn a_lockout_without_an_end_tells_none() {
    let limits = "limits: { by: ip_address, failures: 1, cool_off: never, forget_after: 1h }";
    let setup = || Setup::new(&format!("lockout: {{ {limits} }}"));
    let asks = [bob(), bob().with("Accept", "application/json")];
    let [page, document] = locked_by(setup(), &asks).try_into().unwrap();
    assert_eq!((page.verdict(), page.get("retry-after")), ((403, "locked"), None));
    assert!(page.text().contains("blocked until it is released"), "{}", page.text());
    assert_eq!(json(&document).get("retry_after"), None);
}

#[test]
fn the_status_may_be_another() {
    let asks = [bob(), bob().with("Accept", "application/json")];
    let [page, document] = locked("status: 429", &asks).try_into().unwrap();
    assert_eq!((page.status, document.status), (429, 429));
    assert_eq!(json(&document)["status"], 429);
}

#[test]
fn browsers_may_be_sent_elsewhere_and_programs_not() {
    let asks = [bob(), bob().with("Accept", "application/json")];
    let [page, document] = locked("redirect: /locked.html", &asks).try_into().unwrap();
    assert_eq!((page.status, page.get("location")), (302, Some("/locked.html")));
    assert_eq!((page.kind(), page.get("cache-control")), ("locked", Some("no-store")));
    assert_eq!((document.status, document.get("location")), (403, None));
}

#[test]
fn scripts_of_allowed_origins_may_read_the_answer() {
    let origin = |origin| bob().with("Origin", origin).with("Accept", "application/json");
    let asks = [origin("https://app.test"), origin("https://evil.test"), origin("null"), bob()];
    let answers = locked("cors_origins: [\"https://app.test\", \"https://b.test\"]", &asks);
    let allowed = |answer: &Answer| {
        assert_eq!(answer.get("vary"), Some("Origin"));
        answer.get("access-control-allow-origin").map(str::to_owned)
    };
    let origins: Vec<_> = answers.iter().map(allowed).collect();
    assert_eq!(origins, [Some("https://app.test".to_owned()), None, None, None]);
    assert_eq!(answers[0].get("access-control-allow-credentials"), Some("true"));
    let readable = answers[0].get("access-control-expose-headers").unwrap();
    assert!(readable.contains("Retry-After") && readable.contains("X-Loginward-Ref"));
    let any = only(locked("cors_origins: \"*\"", &[origin("https://evil.test")]));
    assert_eq!(any.get("access-control-allow-origin"), Some("*"));
    assert_eq!(any.get("access-control-allow-credentials"), None, "anybody gets no credentials");
    let none = only(locked("", &[origin("https://app.test")]));
    assert_eq!(none.get("access-control-allow-origin"), None);
}

#[test]
fn an_operators_page_is_shown_with_its_values_escaped() {
    let html = "<p>{{ title }} {{ status }} {{ retry_in }} {{ reference }} {{ contact }}</p>";
    let text =
        format!("lockout: {{ {LIMITS}, response: {{ html: page.html, contact: 'a<b>&\"c' }} }}");
    let setup = Setup::new(&text).file("page.html", html);
    let asks = [bob(), bob().with("Accept", "application/json")];
    let [page, document] = locked_by(setup, &asks).try_into().unwrap();
    let reference = page.get("x-loginward-ref").unwrap();
    let expected = format!(
        "<p>Too many failed sign-in attempts 403 10 minutes {reference} a&lt;b&gt;&amp;&quot;c</p>"
    );
    assert_eq!(page.text(), expected);
    assert_eq!(json(&document)["status"], 403, "which has no template of its own");
}

#[test]
fn an_operators_document_is_json_whatever_the_values_are() {
    let template = "{\"who\": {{ contact }}, \"ref\": {{ reference }}, \"s\": {{ retry_after }}}";
    let text = format!("lockout: {{ {LIMITS}, response: {{ json: d.json, contact: 'a\"\\b' }} }}");
    let setup = Setup::new(&text).file("d.json", template);
    let document = only(locked_by(setup, &[bob().with("Accept", "application/json")]));
    let json = json(&document);
    assert_eq!(json["who"], "a\"\\b");
    assert_eq!(json["ref"], document.get("x-loginward-ref").unwrap());
    assert_eq!(json["s"].to_string(), document.get("retry-after").unwrap());
}

#[test]
fn a_template_that_fails_to_render_leaves_the_guards_own_page() {
    for template in ["{{ contact.missing.deeper }}", "{% for x in range(99999999) %}x{% endfor %}"]
    {
        let text = format!("lockout: {{ {LIMITS}, response: {{ html: page.html }} }}");
        let setup = Setup::new(&text).file("page.html", template);
        let page = only(locked_by(setup, &[bob()]));
        assert_eq!(page.verdict(), (403, "locked"));
        assert!(page.text().contains("Too many failed sign-in attempts"), "{}", page.text());
    }
}

#[test]
fn a_site_and_a_login_may_have_pages_of_their_own() {
    let sites = r#"
lockout: { limits: { by: ip_address, failures: 1, cool_off: 10m }, response: { contact: file } }
sites:
  - name: shop
    upstream: "{UPSTREAM}"
    lockout: { response: { contact: site } }
    closed: /closed
    logins:
      - { path: /login, username: { form: user }, outcome: { success: { status: 302 } } }
      - path: /staff
        username: { form: user }
        outcome: { success: { status: 302 } }
        lockout: { response: { contact: login, status: 423 } }
"#;
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    let answer = guard.ask(&bob());
    assert_eq!((answer.status, answer.text().contains("site")), (403, true));
    let answer = guard.ask(&Ask::form("/staff", "user=bob"));
    assert_eq!((answer.status, answer.text().contains("login")), (423, true));
}

#[test]
fn an_answer_to_head_has_no_body_and_its_connection_goes_on() {
    let sites = "sites: [{ upstream: \"{UPSTREAM}\", closed: [/closed] }]";
    let upstream = Upstream::hello();
    let guard = Guard::start(sites, &upstream);
    let mut client = Client::to(&guard);
    let answer = client.ask(&Ask::new("HEAD", "/closed"));
    assert_eq!(answer.verdict(), (403, "denied"));
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn known_and_unknown_accounts_are_answered_alike() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("lockout: {{ {LIMITS} }}"), &upstream);
    let answer = |user: &str| {
        guard.client().log_in(user, "wrong");
        let answer = guard.client().log_in(user, "wrong");
        let reference = answer.get("x-loginward-ref").unwrap().to_owned();
        (answer.status, answer.text().replace(&reference, "REF"))
    };
    assert_eq!(answer("bob"), answer("no-such-user"));
}
