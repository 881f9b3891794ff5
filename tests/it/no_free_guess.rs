//! A guess that was sent counts, whatever the client or the upstream does then.

use std::time::Duration;

use crate::support::upstream::ok;
use crate::support::{Ask, Client, Conversation, Gate, Guard, Upstream, wait};

/// Three failures lock; whatever hangs is given up soon; a success is told by the body.
const THREE: &str = r#"
lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m }, at_limit: upstream }
timeouts: { response_head: 600ms, verdict: 600ms, exchange: 2s }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 200, body: welcome } }
"#;

fn guess() -> Vec<u8> {
    Ask::login("bob", "wrong").bytes()
}

/// Guesses as often as `guesses` says, with what `client` does, and then until it is refused:
/// exactly three guesses have reached the upstream by then.
#[track_caller]
fn check(upstream: &Upstream, guesses: usize, client: impl Fn(&Guard, usize)) {
    let guard = Guard::start(THREE, upstream);
    for at in 1..=guesses {
        client(&guard, at);
    }
    let mut rest = 0;
    while guard.client().log_in("bob", "wrong").verdict() != (403, "locked") {
        rest += 1;
        assert!(rest <= 3, "it is never locked");
    }
    assert_eq!(upstream.hits(), 3);
    assert_eq!(guard.metric("loginward_attempts_total", "outcome=\"failure\"") as u32, 3);
    wait::until("nothing is held", || guard.metric("loginward_places", "") < 0.5);
}

/// How a client leaves.
const LEAVING: [fn(Client); 3] = [Client::reset, drop, half_close];

/// Closes one half, and the other when the guard has noticed the first.
fn half_close(mut client: Client) {
    client.half_close();
    client.wire.some();
}

#[test]
fn a_client_that_leaves_right_after_the_last_byte_is_counted_if_its_guess_was_sent() {
    for leave in LEAVING {
        let upstream = Upstream::answering(|_| ok("wrong password"));
        check(&upstream, 20, |guard, _| {
            let mut client = guard.client();
            client.send(guess());
            leave(client);
        });
    }
}

#[test]
fn a_client_that_leaves_once_the_upstream_has_its_guess_is_counted() {
    for leave in LEAVING {
        let gate = Gate::closed();
        let held = gate.clone();
        let upstream = Upstream::answering(move |_| {
            held.pass();
            ok("wrong password")
        });
        check(&upstream, 3, |guard, at| {
            let mut client = guard.client();
            client.send(guess());
            gate.wait_for_arrivals(at);
            if at == 3 {
                gate.open();
            }
            leave(client);
        });
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_the_answer_is_counted() {
    for leave in LEAVING {
        let upstream = Upstream::scripted(|talk| {
            talk.request();
            talk.send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
            talk.send("x".repeat(100_000));
            talk.wait_for_end();
        });
        check(&upstream, 3, |guard, _| {
            let mut client = guard.client();
            client.send(guess());
            assert_eq!(client.answer_head().unwrap().status, 200);
            assert_eq!(client.wire.exactly(1000).unwrap().len(), 1000);
            leave(client);
        });
    }
}

#[test]
fn a_client_that_is_gone_before_its_guess_was_read_counts_nothing_or_something_but_never_less() {
    let upstream = Upstream::answering(|_| ok("wrong password"));
    check(&upstream, 10, |guard, _| {
        let mut client = guard.client();
        guard.paused(|| {
            client.send(guess());
            client.reset();
        });
    });
}

/// An upstream does with each guess what `script` says: the client that waits is answered with
/// `status`, and each guess counts.
#[track_caller]
fn check_upstream(
    what: &str,
    status: u16,
    script: impl Fn(&mut Conversation) + Send + Sync + 'static,
) {
    let upstream = Upstream::scripted(move |talk| {
        if talk.request().is_some() {
            script(talk);
        }
    });
    let begun = wait::now();
    check(&upstream, 3, |guard, at| {
        let mut client = guard.client();
        client.send(guess());
        let answer = client.answer_head().unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.status, status, "{what}");
        let failures = guard.metric("loginward_attempts_total", "outcome=\"failure\"") as usize;
        assert_eq!(failures, at, "{what}: it is settled before the answer's first byte");
    });
    assert!(begun.elapsed() < Duration::from_secs(25), "{what}: {:?}", begun.elapsed());
}

/// Sends `bytes` one by one for as long as the guard takes them, from the beginning again and
/// again if need be; each a little later than the one before.
fn trickle(talk: &mut Conversation, bytes: &[u8]) {
    talk.wire.socket.set_patience(Duration::from_millis(20));
    for byte in bytes.iter().cycle() {
        if !talk.send([*byte]) {
            return;
        }
        // nothing comes, so this takes its time
        let mut nothing = [0];
        if let Ok(read) = std::io::Read::read(&mut talk.wire.socket, &mut nothing) {
            assert_eq!(read, 0);
            return;
        }
    }
}

#[test]
fn an_upstream_that_hangs_is_given_up_and_the_guess_counts() {
    check_upstream("hangs", 504, Conversation::wait_for_end);
}

#[test]
fn an_upstream_that_trickles_its_head_is_given_up_and_the_guess_counts() {
    check_upstream("trickles a head", 504, |talk| {
        talk.send("HTTP/1.1 200 OK\r\n");
        trickle(talk, b"X: y\r\n");
    });
}

#[test]
fn an_upstream_that_sends_interim_answers_for_ever_is_given_up_and_the_guess_counts() {
    check_upstream("interim", 504, |talk| {
        trickle(talk, b"HTTP/1.1 102 Processing\r\n\r\n");
    });
}

#[test]
fn an_upstream_that_trickles_its_body_is_not_waited_for_and_the_guess_counts() {
    check_upstream("trickles a body", 200, |talk| {
        talk.send("HTTP/1.1 200 OK\r\n\r\n");
        trickle(talk, b"welcom"); // and never the e
    });
}

#[test]
fn an_upstream_that_hangs_after_its_head_is_not_waited_for_and_the_guess_counts() {
    check_upstream("hangs after its head", 200, |talk| {
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
        talk.wait_for_end();
    });
}

#[test]
fn an_upstream_whose_body_never_ends_is_not_read_to_the_end_and_the_guess_counts() {
    check_upstream("endless", 200, |talk| {
        talk.send("HTTP/1.1 200 OK\r\n\r\n");
        while talk.send([b'x'; 16 * 1024]) {}
    });
}

#[test]
fn an_upstream_that_breaks_off_is_a_failed_guess() {
    for (what, part) in [
        ("nothing", ""),
        ("a part of the head", "HTTP/1.1 200 OK\r\nX: "),
        ("a head", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"),
        ("a success but for its end", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwelcome"),
        ("a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nwelc"),
        ("no HTTP", "welcome\r\n\r\n"),
        ("another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ] {
        check_upstream(what, 502, move |talk| _ = talk.send(part));
    }
}

#[test]
fn what_is_not_read_as_a_success_in_time_is_none() {
    check_upstream("a late success", 200, |talk| {
        talk.send("HTTP/1.1 200 OK\r\n\r\n");
        talk.send("x".repeat(70_000));
        talk.send("welcome");
    });
    check_upstream("another status", 206, |talk| {
        talk.send("HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\n\r\nwelcome");
    });
    check_upstream("an unknown coding", 200, |talk| {
        talk.send("HTTP/1.1 200 OK\r\nContent-Encoding: x\r\nContent-Length: 7\r\n\r\nwelcome");
    });
}

#[test]
fn the_rest_of_the_body_belongs_to_the_client_again() {
    let gate = Gate::closed();
    let more = gate.clone();
    let upstream = Upstream::scripted(move |talk| {
        talk.request();
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 100010\r\n\r\n");
        talk.send("x".repeat(100_000));
        more.pass();
        talk.send("0123456789");
    });
    let guard = Guard::start(THREE, &upstream);
    let mut client = guard.client();
    client.send(guess());
    assert_eq!(client.answer_head().unwrap().get("content-length"), Some("100010"));
    assert_eq!(client.wire.exactly(100_000).unwrap().len(), 100_000);
    gate.open();
    assert_eq!(client.wire.exactly(10).unwrap(), b"0123456789");
}

#[test]
fn a_guess_is_settled_before_the_first_byte_of_its_answer() {
    let upstream = Upstream::scripted(|talk| {
        while talk.request().is_some() {
            talk.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 200000\r\n\r\n");
            talk.send("x".repeat(200_000));
        }
    });
    let guard = Guard::start(THREE, &upstream);
    for _ in 0..3 {
        let mut client = guard.client();
        client.send(guess());
        assert_eq!(client.wire.exactly(1).unwrap(), b"H");
    }
    assert_eq!(guard.client().log_in("bob", "wrong").verdict(), (403, "locked"));
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn a_success_counts_as_one_even_if_the_client_has_gone() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("welcome")
    });
    let guard = Guard::start(THREE, &upstream);
    let mut client = guard.client();
    client.send(guess());
    gate.wait_for_arrivals(1);
    client.reset();
    gate.open();
    guard.wait_for_event("login_succeeded");
    assert_eq!(guard.metric("loginward_attempts_total", "outcome=\"failure\"") as u32, 0);
}
