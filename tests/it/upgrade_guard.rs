//! A guard that takes over from the one that runs.

mod clients;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::commands::program::Program;
use crate::support::guard::ADMIN;
use crate::support::upstream::shop;
use crate::support::{Answer, Ask, Client, Gate, Guard, Setup, Upstream, wait};

const LIMIT: &str = "lockout: { limits: { by: username, failures: 5, cool_off: 10m } }\n";
/// Its port is another one than that of `listen`, by its address.
const METRICS: &str = "metrics: { address: \"127.0.0.2:0\" }\n";

pub fn first(text: &str, upstream: &Upstream) -> Guard {
    Guard::start(&format!("{ADMIN}{METRICS}{text}"), upstream)
}

/// A guard that is to take over from `guard`.
pub fn next(guard: &Guard, text: &str, upstream: &Upstream) -> Setup {
    let admin = format!("admin: {{ address: \"{}\" }}\n", guard.admin());
    Setup::new(&format!("{admin}{METRICS}{text}")).upstream(upstream).flag("--upgrade")
}

/// A shop that holds the logins of `held` at the gate.
pub fn holding(gate: &Gate, held: &'static str) -> Upstream {
    let gate = gate.clone();
    Upstream::answering(move |request| {
        if request.text().contains(held) {
            gate.pass();
        }
        shop(request)
    })
}

/// The connection, or another one where its answer says that it ends.
fn keep(client: Client, answer: &Answer, address: SocketAddr) -> Client {
    if answer.get("connection") == Some("close") { Client::to_addr(address) } else { client }
}

#[test]
fn counts_are_exact_and_lockouts_stay_in_force() {
    let upstream = Upstream::shop();
    let mut old = first(LIMIT, &upstream);
    for _ in 0..5 {
        old.client().log_in("eve", "wrong");
    }
    assert_eq!(old.client().log_in("eve", "right").status, 403);
    for _ in 0..3 {
        assert_eq!(old.client().log_in("bob", "wrong").status, 200);
    }
    let before = upstream.hits();
    let new = next(&old, LIMIT, &upstream).start();
    let taken = new.wait_for_event("taken_over");
    assert_eq!(taken.get("counters"), "2");
    assert_eq!(new.client().log_in("eve", "right").verdict(), (403, "locked"));
    assert_eq!(new.client().log_in("bob", "wrong").status, 200);
    assert_eq!(new.client().log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(new.client().log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(upstream.hits() - before, 2);
    assert_eq!(old.wait_for_exit().code(), Some(0));
}

#[test]
fn guesses_that_come_to_both_at_once_reach_the_upstream_as_often_as_to_one() {
    let upstream = Upstream::shop();
    let mut old = first(LIMIT, &upstream);
    let address = old.addr();
    let over = Arc::new(AtomicBool::new(false));
    let guess = |_| {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut client = Client::to_addr(address);
            let mut at = 0;
            while !over.load(Ordering::Relaxed) {
                // one account after another, so that there are counters in every state
                let answer = client.log_in(&format!("user{}", at / 4), "wrong");
                assert!([200, 403, 429, 503].contains(&answer.status), "{answer:?}");
                at += 1;
                client = keep(client, &answer, address);
            }
            at
        })
    };
    let clients: Vec<_> = (0..6).map(guess).collect();
    upstream.wait_for_hits(100);
    let new = next(&old, LIMIT, &upstream).start();
    new.wait_for_event("taken_over");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    let hits = upstream.hits();
    upstream.wait_for_hits(hits + 100);
    over.store(true, Ordering::Relaxed);
    let most = clients.into_iter().map(|client| client.join().unwrap() / 4).max().unwrap();
    let mut counts = std::collections::HashMap::new();
    for request in upstream.requests() {
        *counts.entry(request.text()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count <= 5), "{counts:?}");
    // whoever was tried by all of them before the end is locked by as many as there may be
    let full = counts.values().filter(|count| **count == 5).count();
    assert!(full > most / 4, "{full} of {most}");
}

#[test]
fn attempts_wait_while_the_old_one_settles_a_slow_one() {
    let gate = Gate::closed();
    let upstream = holding(&gate, "slow");
    let one = "lockout: { limits: { by: username, failures: 1, cool_off: 10m } }\n";
    let mut old = first(one, &upstream);
    let (mut slow, mut kept) = (old.client(), old.client());
    assert_eq!(kept.get("/").status, 200);
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let before = upstream.hits();
    let new = next(&old, one, &upstream).start();
    wait::until("the old one has stopped accepting", || {
        // an ordinary request is served at once, by the new one
        new.metrics_page("/readyz").status == 200
            && new.client().get("/").status == 200
            && kept_refuses(&old)
    });
    let ordinary = upstream.hits() - before;
    let mut waiting: Vec<_> = (0..4).map(|_| new.client()).collect();
    for (at, client) in waiting.iter_mut().enumerate() {
        let user = if at < 2 { "slow" } else { "other" };
        client.send(Ask::login(user, "right").bytes());
    }
    // on a connection that the old one has kept
    let refused = kept.log_in("third", "right");
    assert_eq!(refused.verdict(), (503, "busy"));
    assert_eq!(refused.get("retry-after"), Some("1"));
    assert!(new.events("taken_over").is_empty());
    assert!(upstream.hits() >= before + ordinary);
    gate.open();
    // the failure that reaches the limit is answered as the lockout that it begins
    assert_eq!(slow.answer().verdict(), (403, "locked"));
    new.wait_for_event("taken_over");
    let verdicts: Vec<_> = waiting.iter_mut().map(|client| client.answer().status).collect();
    assert_eq!(verdicts, [403, 403, 302, 302]);
    assert_eq!(old.wait_for_exit().code(), Some(0));
}

/// Whether the guard has closed its gate.
fn kept_refuses(guard: &Guard) -> bool {
    !guard.events("handing_over").is_empty()
}

#[test]
fn a_successor_that_ends_too_early_changes_nothing() {
    let gate = Gate::closed();
    let upstream = holding(&gate, "slow");
    let old = first(LIMIT, &upstream);
    for _ in 0..5 {
        old.client().log_in("eve", "wrong");
    }
    // one that cannot listen
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("listen: [\"127.0.0.1:0\", \"{}\"]\n{LIMIT}", taken.local_addr().unwrap());
    let mut failing = Guard::spawn(next(&old, &more, &upstream));
    assert_eq!(failing.wait_for_exit().code(), Some(1));
    old.wait_for_event("upgrade_failed");
    assert_eq!(old.client().log_in("eve", "right").status, 403);
    // one that is killed while it waits for the counters
    let mut slow = old.client();
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let killed = next(&old, LIMIT, &upstream).start();
    old.wait_for_event("handing_over");
    drop(killed);
    old.wait_for("the second failure", |event| event.is("upgrade_failed"));
    let failed = old.wait_for_events("upgrade_failed", 2);
    assert_eq!(failed.len(), 2);
    gate.open();
    assert_eq!(slow.answer().status, 200);
    assert_eq!(old.client().log_in("eve", "right").verdict(), (403, "locked"));
    assert_eq!(old.client().log_in("bob", "right").status, 302);
    // and one that comes to it
    let new = next(&old, LIMIT, &upstream).start();
    new.wait_for_event("taken_over");
    assert_eq!(new.client().log_in("eve", "right").verdict(), (403, "locked"));
}

#[test]
fn a_guard_that_is_killed_while_it_hands_over_is_reported_loudly() {
    let gate = Gate::closed();
    let upstream = holding(&gate, "slow");
    let old = first(LIMIT, &upstream);
    let mut slow = old.client();
    slow.send(Ask::login("slow", "wrong").bytes());
    gate.wait_for_arrivals(1);
    let new = next(&old, LIMIT, &upstream).start();
    old.wait_for_event("handing_over");
    let mut waiting = new.client();
    waiting.send(Ask::login("bob", "right").bytes());
    drop(old);
    new.wait_for_event("handover_incomplete");
    assert_eq!(waiting.answer().status, 302);
    gate.open();
}

#[test]
fn without_it_a_second_start_is_an_error_and_with_it_a_first_one_is_none() {
    let upstream = Upstream::hello();
    let setup = Setup::new(&format!("{ADMIN}{METRICS}")).upstream(&upstream).flag("--upgrade");
    let guard = setup.start();
    assert_eq!(guard.events("nothing_to_take_over").len(), 1);
    let mut second = next(&guard, "", &upstream);
    second.flags.clear();
    let mut second = Guard::spawn(second);
    assert_eq!(second.wait_for_exit().code(), Some(1));
    assert!(second.log().contains("another guard runs there"), "{}", second.log());
}

#[test]
fn the_keys_of_the_hashes_are_in_no_log_and_no_answer() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    let upstream = Upstream::hello();
    let old = first("", &upstream);
    let path = old.dir().join("admin.sock");
    let mut stream = UnixStream::connect(&path).unwrap();
    let request = "POST /v1/upgrade HTTP/1.1\r\nhost: loginward\r\nconnection: upgrade\r\n\
                   upgrade: loginward-upgrade\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    // the kind of the frame, its length and the version come first
    let mut begin = [0; 1 + 4 + 8 + 2 * 16];
    stream.read_exact(&mut begin).unwrap();
    let (counters, secrets) = begin[13..].split_at(16);
    assert!(counters != secrets && ![counters, secrets].contains(&&[0; 16][..]));
    drop(stream);
    old.wait_for_event("upgrade_failed");
    let mut new = next(&old, "log: { level: debug }\n", &upstream).start();
    new.wait_for_event("taken_over");
    new.client().log_in("bob", "wrong");
    new.terminate();
    new.wait_for_exit();
    let hex = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let forms = |secret: &[u8]| {
        let number: [u8; 16] = secret.try_into().unwrap();
        [
            hex(&mut secret.iter()),
            hex(&mut secret.iter().rev()),
            format!("{secret:?}"),
            u128::from_le_bytes(number).to_string(),
            u128::from_be_bytes(number).to_string(),
        ]
    };
    for form in [counters, secrets].into_iter().flat_map(forms) {
        assert!(!old.log().contains(&form) && !new.log().contains(&form));
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[test]
fn one_after_the_other_takes_over_and_what_still_streams_holds_none_up() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        while let Some(request) = talk.request() {
            if !request.text().contains("user=long") {
                talk.send(shop(&request));
                continue;
            }
            // the head decides it, and the body goes on
            talk.send("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 8\r\n\r\nlong");
            held.pass();
            talk.send("long");
        }
    });
    let mut guards = vec![first(LIMIT, &upstream)];
    let mut long = guards[0].client();
    long.send(Ask::login("long", "right").bytes());
    assert_eq!(long.answer_head().expect("a head").status, 302);
    for failures in 1..=4 {
        let last = guards.last().unwrap();
        assert_eq!(last.client().log_in("eve", "wrong").status, 200, "{failures}");
        let new = next(&guards[0], &format!("workers: {failures}\n{LIMIT}"), &upstream).start();
        new.wait_for_event("taken_over");
        guards.push(new);
    }
    gate.open();
    let last = guards.last().unwrap();
    assert_eq!(last.client().log_in("eve", "wrong").verdict(), (403, "locked"));
    for old in guards.iter_mut().take(4) {
        assert_eq!(old.wait_for_exit().code(), Some(0));
    }
}

#[test]
fn the_workers_of_a_guard_that_retires_do_not_seem_to_hang() {
    let gate = Gate::closed();
    let upstream = holding(&gate, "long");
    let setup = Setup::new(&format!("{ADMIN}{METRICS}")).upstream(&upstream);
    let mut old = setup.variable("WATCHDOG_USEC", "1000000").start();
    let mut long = old.client();
    long.send(Ask::form("/upload", "long").bytes());
    gate.wait_for_arrivals(1);
    let new = next(&old, "", &upstream).start();
    new.wait_for_event("taken_over");
    let begun = wait::now();
    wait::until("it was asked more than once", || begun.elapsed().as_millis() > 2200);
    gate.open();
    assert_eq!(long.answer().text(), "hello");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    assert!(old.events("worker_hangs").is_empty(), "{}", old.log());
}

#[test]
fn whose_a_session_is_stays_known() {
    const SITES: &str = r#"
lockout: { limits: { by: username, failures: 2, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        session_cookie: session
        outcome: { success: { status: 302 } }
      - path: /code
        password: { form: code }
        session_cookie: session
        outcome: { success: { status: 302 } }
"#;
    let upstream = Upstream::shop();
    let mut old = first(SITES, &upstream);
    assert_eq!(old.client().log_in("bob", "right").status, 302);
    let new = next(&old, SITES, &upstream).start();
    new.wait_for_event("taken_over");
    let code = Ask::form("/code", "code=000000").with("Cookie", "session=1");
    let from = |address| Client::from(address, &new).ask(&code).status;
    assert_eq!((from("127.0.0.2"), from("127.0.0.3")), (200, 403));
    assert_eq!(new.client().log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(old.wait_for_exit().code(), Some(0));
}

#[test]
fn whoever_follows_events_follows_the_new_guard_from_its_beginning() {
    let upstream = Upstream::shop();
    let mut old = first(LIMIT, &upstream);
    let admin = old.admin();
    let names = "login_failed,login_succeeded,taken_over";
    let flags = ["events", "--follow", "--last", "9", "--name", names, "--admin", &admin];
    old.client().log_in("ann", "wrong");
    let program = Program::start(&flags);
    let heard = |what: &str| {
        program.out.wait_for(what, |line| line.contains(what).then_some(()));
    };
    heard("username=ann");
    let mut new = next(&old, LIMIT, &upstream).start();
    new.wait_for_event("taken_over");
    // before anybody can have noticed that the old one is gone
    new.client().log_in("bob", "wrong");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    heard("taken_over");
    heard("username=bob");
    new.client().log_in("eve", "right");
    heard("username=eve");
    assert_eq!(program.out.text().matches("username=ann").count(), 1, "{}", program.out.text());
    assert_eq!(program.out.text().matches("username=bob").count(), 1, "{}", program.out.text());
    new.terminate();
    new.wait_for_exit();
    program.err.wait_for("end", |line| (line == "the guard has ended").then_some(()));
}
