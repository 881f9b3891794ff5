//! What refused a reference, what rules have seen, and the configuration in force.

use serde_json::{Value, json};

use super::asking::operator;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::{Ask, Gate, Guard, Setup, Upstream};

const LIMITS: &str = "
lockout:
  wait: 1s
  limits:
    - { by: [username, ip_address], failures: 3, cool_off: 10m }
    - { by: [username], failures: 3, cool_off: 1h }
    - { by: [ip_address], failures: 50, cool_off: 1h }
trusted_proxies: [\"127.0.0.0/8\"]
";

fn ask(guard: &Guard, user: &str, ip: &str) -> crate::support::Answer {
    guard.ask(&Ask::login(user, "wrong").with("X-Forwarded-For", ip))
}

#[test]
fn a_lockouts_reference_leads_to_all_that_locked_and_unlocks_all_of_it() {
    let upstream = Upstream::shop();
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}"), &upstream);
    let asks = operator(&guard);
    (0..3).for_each(|_| _ = ask(&guard, "Ada", "203.0.113.7"));
    let refused = ask(&guard, "ada", "203.0.113.7");
    let reference = refused.get("x-loginward-ref").unwrap();
    let chain = asks.get(&format!("/v1/references/{}", reference.to_lowercase()));
    assert_eq!((&chain["kind"], &chain["status"]), (&json!("locked"), &json!(403)));
    assert_eq!((&chain["site"], &chain["login"]), (&json!("shop"), &json!("/login")));
    assert_eq!((&chain["client"], &chain["peer"]), (&json!("203.0.113.7"), &json!("127.0.0.1")));
    assert_eq!((&chain["username"], &chain["times"]), (&json!("ada"), &json!(2)));
    assert_eq!(chain["reason"], "locked out");
    let counters = chain["counters"].as_array().unwrap();
    assert_eq!(counters.len(), 2, "{chain}");
    assert!(counters.iter().all(|row| row["failures"] == 3 && row["locked"] == true), "{chain}");
    assert_eq!(chain["others"][0]["limit"], "ip_address");
    assert_eq!(chain["others"][0]["failures"], 3);
    assert!(chain["unlock"].as_str().unwrap().contains(&format!("reset --ref {reference}")));
    let said = run(&["list", "--ref", reference, "--admin", &guard.admin()]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    for part in
        ["client     203.0.113.7, by way of 127.0.0.1", "because    locked out", "Refused by"]
    {
        assert!(said.out.contains(part), "{}", said.out);
    }
    assert_eq!(
        run(&["reset", "--ref", reference, "--admin", &guard.admin()]).out,
        "reset: 2 counters\n"
    );
    let right = Ask::login("ada", "right").with("X-Forwarded-For", "203.0.113.7");
    assert_eq!(guard.ask(&right).status, 302, "everything that refused it is gone");
    let chain = asks.get(&format!("/v1/references/{reference}"));
    assert_eq!(chain["unlock"], "What refused it locks no more.");
    let none = run(&["list", "--ref", "00000000", "--admin", &guard.admin()]);
    assert_eq!(none.status, 1);
    assert!(none.err.starts_with("nothing is known of it any more"), "{}", none.err);
    let none = run(&["list", "--ref", "00000000", "--json", "--admin", &guard.admin()]);
    let told: Value = serde_json::from_str(&none.out).unwrap();
    assert_eq!((none.status, &told["status"]), (1, &json!(404)), "for programs, too");
    assert_eq!(asks.problem("/v1/references/nothing").0, 400);
    assert_eq!(asks.problem("/v1/references/%zz").0, 400);
}

#[test]
fn every_other_refusal_is_remembered_with_its_reason() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| {
        if request.text().contains("slow") {
            held.pass();
        }
        crate::support::upstream::shop(request)
    });
    let access = "access: { deny: 198.51.100.0/24 }\n";
    let guard = Guard::start(&format!("{ADMIN}{LIMITS}{access}"), &upstream);
    let asks = operator(&guard);
    let chain = |answer: &crate::support::Answer| {
        asks.get(&format!("/v1/references/{}", answer.get("x-loginward-ref").unwrap()))
    };
    let denied = chain(&ask(&guard, "bob", "198.51.100.9"));
    assert_eq!((&denied["kind"], &denied["client"]), (&json!("denied"), &json!("198.51.100.9")));
    assert_eq!(denied["reason"], "the client's network is denied");
    let unclear = guard.ask(&Ask::form("/login", "user=a&user=b&user=c&user=d&user=e&password=x"));
    let unclear = chain(&unclear);
    assert_eq!((&unclear["kind"], &unclear["status"]), (&json!("refused"), &json!(400)));
    let lock = json!({ "ip": "203.0.113.0/24", "reason": "stuffing" }).to_string();
    let kind = "Content-Type: application/json\r\n";
    assert_eq!(asks.ask("POST", "/v1/lock", (kind, &lock)).status, 200);
    let refused = ask(&guard, "bob", "203.0.113.5");
    let by_hand = chain(&refused);
    assert_eq!(by_hand["reason"], "locked by hand: stuffing");
    assert_eq!(by_hand["locks_by_hand"][0]["what"], json!({ "network": "203.0.113.0/24" }));
    let reference = json!({ "ref": refused.get("x-loginward-ref").unwrap() }).to_string();
    let reset = asks.ask("POST", "/v1/reset", (kind, &reference));
    let reset: Value = serde_json::from_str(&reset.text()).unwrap();
    assert_eq!(reset["locks_by_hand"], 1, "{reset}");
    assert_eq!(ask(&guard, "bob", "203.0.113.5").status, 200);
    // three hold the places, and the fourth gets none
    let mut holding: Vec<_> = (0..3).map(|_| guard.client()).collect();
    for client in &mut holding {
        client.send(Ask::login("slow", "wrong").with("X-Forwarded-For", "203.0.113.8").bytes());
    }
    gate.wait_for_arrivals(3);
    let busy = chain(&ask(&guard, "slow", "203.0.113.8"));
    assert_eq!((&busy["kind"], &busy["status"]), (&json!("busy"), &json!(429)));
    assert_eq!(busy["unlock"], "There is nothing to unlock: it passes within seconds.");
    gate.open();
}

#[test]
fn rules_tell_what_they_have_seen_and_what_looks_wrong() {
    let upstream = Upstream::shop();
    let guard = Guard::start(ADMIN, &upstream);
    let asks = operator(&guard);
    for number in 0..25 {
        let field = ("X-Forwarded-For", "192.0.2.1");
        guard.ask(&Ask::login(&format!("user{number}"), "wrong").with(field.0, field.1));
    }
    guard.wait_for_event("rule_suspect");
    let rules = asks.get("/v1/rules");
    let rule = &rules["rules"][0];
    assert_eq!((&rule["site"], &rule["login"]), (&json!("shop"), &json!("/login")));
    assert_eq!(rule["attempts"]["unmatched"], 25);
    assert_eq!(rule["attempts"]["success"], 0);
    assert!(rule["suspicion"].as_str().unwrap().contains("never a success"), "{rule}");
    let identity = rules["identity"].as_array().unwrap();
    let strangers =
        identity.iter().find(|said| said["reason"].as_str().unwrap().contains("untrusted"));
    assert_eq!(strangers.unwrap()["client"], "127.0.0.1");
}

#[test]
fn secrets_are_known_by_what_they_are_and_not_by_the_key_that_they_stand_behind() {
    let upstream = Upstream::shop();
    let text = format!(
        "{ADMIN}anchors:\n  hook: &hook whsec_TVNFQ1JFVE1TRUNSRVRNU0VDUkVU\n  \
         place: &place \"http://127.0.0.1:1/t0ken\"\n  \
         more: [\"posted to http://127.0.0.1:1/ with whsec_TVNFQ1JFVE1TRUNSRVRNU0VDUkVU\"]\n\
         webhooks: [{{ url: *place, name: a, secret: *hook }}, {{ url: \"http://127.0.0.1:2/t0ken\", \
         name: b, secret: \"${{file:secret}}\" }}]\n\
         privacy: {{ usernames: hashed, key: \"a key that nobody guesses\" }}\n"
    );
    let setup = Setup::new(&text).upstream(&upstream).file("secret", "words of a file, 16 bytes");
    let guard = setup.start();
    let config = operator(&guard).get("/v1/config");
    let shown = config.to_string();
    for secret in ["TVNFQ1JF", "t0ken", "nobody guesses", "words of a file"] {
        assert!(!shown.contains(secret), "{secret}: {config}");
    }
    let written = &config["written"];
    assert_eq!(written["anchors"]["place"], "http://127.0.0.1:1/***");
    assert_eq!(written["webhooks"][1]["secret"], "${file:secret}");
    assert_eq!(written["privacy"], json!({ "usernames": "hashed", "key": "***" }));
}

#[test]
fn the_configuration_in_force_is_told_without_its_secrets() {
    let upstream = Upstream::shop();
    let text = format!(
        "{ADMIN}workers: 3\nanchors: {{ token: hush-hush, url: \"https://u:hush-hush@x/\" }}\n\
         lockout: {{ response: {{ contact: \"${{CONTACT}}\" }} }}"
    );
    let setup = Setup::new(&text).upstream(&upstream).variable("CONTACT", "hush-hush");
    let guard = setup.start();
    let asks = operator(&guard);
    let config = asks.get("/v1/config");
    assert!(!config.to_string().contains("hush-hush"), "{config}");
    assert_eq!(config["file"], guard.config().to_str().unwrap());
    assert_eq!(config["written"]["lockout"]["response"]["contact"], "${CONTACT}");
    assert_eq!(config["written"]["anchors"]["url"], "https://***@x/***");
    assert_eq!(config["written"]["sites"][0]["name"], "shop");
    assert_eq!(config["in_force"]["workers"], 3);
    let login = &config["in_force"]["sites"][0]["logins"][0];
    assert_eq!((&login["name"], &login["mode"]), (&json!("/login"), &json!("enforce")));
    assert_eq!(login["limits"][0]["by"], json!(["username", "ip_address"]));
    assert_eq!(login["limits"][0]["cool_off_s"], json!([600.0]));
    guard.reconfigure(|text| {
        format!("{}\ntimeouts: {{ head: 7s }}", text.replace("workers: 3", "workers: 4"))
    });
    guard.reload();
    let config = asks.get("/v1/config");
    assert_eq!(config["written"]["workers"], 3, "what is in force, and not what the file says");
    assert_eq!(config["written"]["timeouts"]["head"], "7s");
    assert_eq!(config["in_force"]["timeouts_ms"]["head"], 7000);
}
