//! Events as they come, at the operators' interface and by `loginward events`.

use std::path::Path;

use serde_json::Value;

use crate::commands::program::{Program, run};
use crate::support::guard::ADMIN;
use crate::support::wire::find;
use crate::support::{Client, Guard, Upstream, wait};

const LIMIT: &str = "lockout: { limits: { by: username, failures: 3, cool_off: 10m } }\n";

fn guarded(upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{LIMIT}"), upstream)
}

/// Somebody who follows the events of a guard.
struct Follower {
    client: Client,
    text: String,
}

impl Follower {
    #[track_caller]
    fn of(guard: &Guard, target: &str) -> Self {
        Self::with(guard, target, "")
    }

    #[track_caller]
    fn with(guard: &Guard, target: &str, fields: &str) -> Self {
        let mut client = ask(&guard.dir().join("admin.sock"), target, fields);
        let head = client.answer_head().unwrap();
        assert_eq!((head.status, head.get("content-type")), (200, Some("text/event-stream")));
        Self { client, text: String::new() }
    }

    /// What it was told, once that contains `wanted` and ends with a whole event.
    #[track_caller]
    fn until(&mut self, wanted: &str) -> &str {
        let is_there = |text: &str| find(text.as_bytes(), wanted.as_bytes()).is_some();
        while !(self.text.ends_with("\n\n") && is_there(&self.text)) {
            let more = self.client.wire.some();
            assert!(!more.is_empty(), "no {wanted} in {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        &self.text
    }

    /// The events that it was told of so far.
    fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// Its names of them.
    fn names(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }
}

fn ask(socket: &Path, target: &str, fields: &str) -> Client {
    let mut client = Client::to_unix(socket);
    client.send(format!("GET {target} HTTP/1.0\r\nhost: loginward\r\n{fields}\r\n"));
    client
}

#[test]
fn the_latest_events_are_printed_for_people_and_for_programs() {
    let upstream = Upstream::shop();
    let guard = guarded(&upstream);
    for password in ["one", "two", "three"] {
        guard.client().log_in("bob", password);
    }
    guard.client().log_in("eve", "right");
    guard.wait_for_event("login_succeeded");
    let events = |flags: &[&str]| run(&[&["events", "--admin", &guard.admin()], flags].concat());
    let said = events(&[]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let names: Vec<&str> = said.out.lines().map(|l| l.split(' ').nth(1).unwrap()).collect();
    let story = ["login_failed", "login_failed_again", "login_failed_again", "locked_out"];
    let begin = names.iter().position(|name| *name == "login_failed").unwrap();
    assert_eq!(&names[begin..begin + 4], story, "{}", said.out);
    let locked = said.out.lines().find(|line| line.contains(" locked_out ")).unwrap();
    assert!(locked.contains(" client=127.0.0.1 site=shop login=/login limit=username "));
    assert!(locked.ends_with(" username=bob"), "{locked}");
    let said = events(&["--name", "locked_out,login_failed", "--username", "BOB", "--json"]);
    let events_of_bob: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events_of_bob.len(), 2, "{}", said.out);
    assert_eq!(
        (&events_of_bob[1]["event"], &events_of_bob[1]["of"]),
        (&"locked_out".into(), &3.into())
    );
    let said = events(&["--last", "1"]);
    assert_eq!(said.out.lines().count(), 1);
    let said = events(&["--last", "2", "--name", "login_failed,login_failed_again"]);
    assert_eq!(said.out.lines().count(), 2, "the last of those that fit: {}", said.out);
    assert!(said.out.lines().all(|line| line.contains(" login_failed_again ")), "{}", said.out);
    let said = events(&["--site", "elsewhere"]);
    assert_eq!((said.status, said.out.as_str()), (1, ""));
    let said = events(&["--name", "locked_up"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("there is no event `locked_up`"), "{}", said.err);
}

#[test]
fn whoever_follows_is_told_of_what_he_wants_as_it_happens() {
    let upstream = Upstream::shop();
    let mut guard = guarded(&upstream);
    let admin = guard.admin();
    let mut all = Follower::of(&guard, "/v1/events");
    let mut some = Follower::of(&guard, "/v1/events?name=locked_out,refused&site=shop");
    // told of everything so far, it follows
    let flags = ["events", "--follow", "--last", "1000", "--json", "--admin", &admin];
    let program = Program::start(&flags);
    program.out.wait_for("first event", |line| line.contains("admin_listening").then_some(()));
    for password in ["one", "two", "three", "right"] {
        guard.client().log_in("bob", password);
    }
    all.until("\"refused\"");
    some.until("\"refused\"");
    let story = ["login_failed", "login_failed_again", "login_failed_again", "locked_out"];
    assert!(all.names().starts_with(&story.map(str::to_owned)), "{:?}", all.names());
    assert_eq!(some.names(), ["locked_out", "refused"]);
    let (locked, refused) = (&some.events()[0], &some.events()[1]);
    assert_eq!((&locked["ref"], &locked["username"]), (&refused["ref"], &"bob".into()));
    assert_eq!((&locked["failures"], &locked["client"]), (&3.into(), &"127.0.0.1".into()));
    program.out.wait_for("refusal", |line| line.contains("\"refused\"").then_some(()));
    guard.terminate();
    guard.wait_for_exit();
    program.err.wait_for("end", |line| (line == "the guard has ended").then_some(()));
}

#[test]
fn who_was_cut_off_goes_on_where_he_left_off() {
    let upstream = Upstream::shop();
    let guard = guarded(&upstream);
    let mut first = Follower::of(&guard, "/v1/events?name=login_failed");
    guard.client().log_in("one", "wrong");
    let told = first.until("\"one\"");
    let id = told.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(first);
    guard.client().log_in("two", "wrong");
    guard.wait_for("second", |event| event.get("username") == "two");
    let field = format!("Last-Event-ID: {id}\r\n");
    let mut again = Follower::with(&guard, "/v1/events?name=login_failed", &field);
    guard.client().log_in("three", "wrong");
    again.until("\"three\"");
    let names: Vec<Value> = again.events().iter().map(|event| event["username"].clone()).collect();
    assert_eq!(names, ["two", "three"]);
}

#[test]
fn who_is_too_slow_loses_events_and_is_told_how_many() {
    let upstream = Upstream::shop();
    let guard = guarded(&upstream);
    let mut slow = Follower::of(&guard, "/v1/events?name=login_failed");
    let mut client = guard.client();
    let long = "%02".repeat(250); // each becomes six letters
    for at in 0..2000 {
        client.log_in(&format!("{at}{long}"), "wrong");
    }
    guard.wait_for("last one", |event| event.get("username").starts_with("1999"));
    slow.until("\"1999\\u0002");
    let events = slow.events();
    let lost: u64 = events.iter().filter_map(|event| event["lost"].as_u64()).sum();
    let told = events.iter().filter(|event| event["event"] == "login_failed").count() as u64;
    // some of those that are lost are of other names: it is not looked at them any more
    assert!(lost > 0 && (2000..2010).contains(&(lost + told)), "{lost} lost, {told} told");
    let metric = guard.metric("loginward_events_dropped_total", "outlet=\"stream\"");
    assert_eq!(metric as u64, lost);
}

#[test]
fn no_more_than_sixteen_follow_and_who_goes_makes_room() {
    let upstream = Upstream::shop();
    let guard = guarded(&upstream);
    let socket = guard.dir().join("admin.sock");
    let mut followers: Vec<_> = (0..16).map(|_| Follower::of(&guard, "/v1/events")).collect();
    let refused = ask(&socket, "/v1/events", "").answer();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.get("content-type"), Some("application/problem+json"));
    assert!(refused.text().contains("too many follow already"), "{}", refused.text());
    followers.pop();
    wait::until("there is room", || {
        ask(&socket, "/v1/events?follow=false", "").answer_head().unwrap().status == 200
    });
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    let upstream = Upstream::hello();
    let guard = guarded(&upstream);
    let socket = guard.dir().join("admin.sock");
    for (query, why) in [
        ("name=nonsense", "there is no event `nonsense`"),
        ("last=many", "`last` is a number"),
        ("follow=perhaps", "`follow` is true or false"),
        ("user=bob", "`user` is none of name, site, client, username, last, follow"),
    ] {
        let answer = ask(&socket, &format!("/v1/events?{query}"), "").answer();
        assert_eq!(answer.status, 400, "{query}");
        let problem: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(problem["detail"], why);
    }
}

#[test]
fn events_are_kept_and_told_whatever_the_log_writes() {
    let upstream = Upstream::shop();
    let guard = Guard::spawn(
        crate::support::Setup::new(&format!(
            "{ADMIN}{LIMIT}listen: \"unix:{{DIR}}/http.sock\"\n\
             trusted_proxies: unix\nlog: {{ level: error }}"
        ))
        .upstream(&upstream),
    );
    let path = guard.dir().join("http.sock");
    wait::until("it listens", || std::os::unix::net::UnixStream::connect(&path).is_ok());
    let socket = guard.dir().join("admin.sock");
    wait::until("it can be asked", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let mut follower = Follower::of(&guard, "/v1/events");
    let ask = crate::support::Ask::login("bob", "wrong").with("X-Forwarded-For", "203.0.113.5");
    Client::to_unix(&path).ask(&ask);
    follower.until("\"login_failed\"");
    assert_eq!(guard.log(), "");
}
