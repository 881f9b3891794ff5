//! Another configuration while the guard runs.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::api::operator;
use crate::commands::program::run;
use crate::support::guard::ADMIN;
use crate::support::upstream::ok;
use crate::support::{Ask, Client, Gate, Guard, Setup, Upstream, wait};

#[test]
fn a_hang_up_signal_puts_another_configuration_in_force() {
    let (old, new) = (Upstream::hello(), Upstream::answering(|_| ok("new")));
    let guard = Guard::start("", &old);
    let mut client = guard.client();
    assert_eq!(client.get("/").text(), "hello");
    guard.reconfigure(|text| text.replace(old.url(), new.url()));
    assert_eq!(client.get("/").text(), "hello", "nobody has told it yet");
    guard.reload();
    for _ in 0..8 {
        assert_eq!(guard.client().get("/").text(), "new", "every worker");
    }
    assert_eq!(client.get("/").text(), "new", "on the connection from before, too");
    assert_eq!(guard.events("reloaded")[0].get("reason"), "SIGHUP");
}

#[test]
fn a_request_that_is_under_way_ends_as_it_began() {
    let gate = Gate::closed();
    let held = gate.clone();
    let old = Upstream::answering(move |request| {
        if request.target == "/" {
            held.pass();
        }
        ok("old")
    });
    let new = Upstream::shop();
    let limit = "lockout: { limits: { by: username, failures: 1, cool_off: 10m } }";
    let guard = Guard::start(limit, &old);
    let mut page = guard.client();
    page.send(Ask::get("/").bytes());
    gate.wait_for_arrivals(1);
    guard.reconfigure(|text| text.replace(old.url(), new.url()));
    guard.reload();
    assert_eq!(guard.client().log_in("bob", "right").status, 302, "others go to the new one");
    gate.open();
    assert_eq!(page.answer().text(), "old");
    old.wait_for_closed(1);
}

#[test]
fn an_attempt_under_way_is_charged_under_the_limits_as_they_are_then() {
    let gate = Gate::closed();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_| {
        held.pass();
        ok("wrong")
    });
    let limit = "lockout: { limits: { by: username, failures: 3, cool_off: 10m } }";
    let guard = Guard::start(limit, &upstream);
    let mut client = guard.client();
    client.send(Ask::login("bob", "wrong").bytes());
    gate.wait_for_arrivals(1);
    guard.reconfigure(|text| text.replace("failures: 3", "failures: 1"));
    guard.reload();
    gate.open();
    assert_eq!(client.answer().verdict(), (403, "locked"));
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
}

#[test]
fn one_that_cannot_be_used_changes_nothing_and_is_reported() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: username, failures: 2, cool_off: 10m } }";
    let guard = Guard::start(limit, &upstream);
    assert_eq!(guard.metric("loginward_config_last_reload_successful", "") as u32, 1);
    let time = "loginward_config_last_reload_success_timestamp_seconds";
    let started = guard.metric(time, "");
    assert!(started > 1.7e9, "{started}");
    guard.reconfigure(|text| {
        text.replace("failures: 2", "failures: 0").replace("username: {", "usrname: {")
    });
    guard.hang_up();
    let failed = guard.wait_for_event("reload_failed");
    assert_eq!((failed.get("level"), failed.get("reason")), ("error", "SIGHUP"));
    let errors = guard.events("configuration_error");
    let told: Vec<&str> = errors.iter().map(|event| event.get("reason")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("loginward.yaml:1:"), "{told:?}");
    assert!(told.iter().any(|told| told.contains("did you mean `username`?")), "{told:?}");
    assert_eq!(guard.metric("loginward_config_last_reload_successful", "") as u32, 0);
    assert_eq!(guard.metric("loginward_config_reload_failures_total", "") as u32, 1);
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"), "the old limit holds");
    guard.reconfigure(str::to_owned);
    guard.reload();
    assert_eq!(guard.metric("loginward_config_last_reload_successful", "") as u32, 1);
    assert_eq!(guard.metric("loginward_config_reload_failures_total", "") as u32, 1);
    assert!(guard.metric(time, "") >= started);
}

#[test]
fn a_file_that_has_gone_changes_nothing() {
    let upstream = Upstream::hello();
    let guard = Guard::start("", &upstream);
    std::fs::remove_file(guard.config()).unwrap();
    guard.hang_up();
    guard.wait_for_event("reload_failed");
    let error = guard.wait_for_event("configuration_error");
    assert!(error.get("reason").contains("there is no such file"), "{error:?}");
    assert_eq!(guard.client().get("/").text(), "hello");
}

#[test]
fn counters_are_kept_and_held_against_the_limits_as_they_are_now() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: ip_address, failures: 3, cool_off: 10m } }";
    let guard = Guard::start(limit, &upstream);
    let limit = |failures: &str| {
        guard.reconfigure(|text| text.replace("failures: 3", failures));
        guard.reload();
    };
    let mut client = guard.client();
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    assert_eq!(client.log_in("bob", "wrong").status, 200);
    limit("failures: 2");
    assert_eq!(client.log_in("bob", "right").verdict(), (403, "locked"), "lowered to the count");
    limit("failures: 4");
    assert_eq!(client.log_in("bob", "wrong").status, 200, "raised above the count");
    assert_eq!(client.log_in("bob", "wrong").verdict(), (403, "locked"), "which was kept");
    limit("failures: 5");
    assert_eq!(client.log_in("bob", "right").status, 302);
    let metric = "loginward_attempts_total";
    assert_eq!(guard.metric(metric, "outcome=\"failure\"") as u32, 4, "numbers go on");
}

#[test]
fn a_lockout_survives_a_reload_that_does_not_concern_it() {
    let upstream = Upstream::shop();
    let limit = "lockout: { limits: { by: username, failures: 1, cool_off: 10m } }";
    let guard = Guard::start(limit, &upstream);
    assert_eq!(guard.client().log_in("bob", "wrong").verdict(), (403, "locked"));
    guard.reconfigure(|text| format!("{text}\nclient_address: {{ ipv6_prefix: 56 }}"));
    guard.reload();
    assert_eq!(guard.client().log_in("bob", "right").verdict(), (403, "locked"));
    assert_eq!(guard.client().log_in("eve", "right").status, 302);
}

#[test]
fn connections_to_an_application_that_stays_are_kept() {
    let upstream = Upstream::hello();
    let keep = "workers: 1\ntimeouts: { upstream_idle: 1h }";
    let guard = Guard::start(keep, &upstream);
    let mut client = guard.client();
    client.get("/");
    for _ in 0..3 {
        guard.reload();
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn everything_the_configuration_names_is_read_again() {
    let upstream = Upstream::shop();
    let text = "access: { deny: \"file:bad.txt\" }\n\
                lockout:\n  limits: { by: username, failures: 1, cool_off: 10m }\n  \
                response: { html: page.html, contact: \"${file:contact.txt}\" }";
    let setup = Setup::new(text).upstream(&upstream);
    let setup = setup.file("bad.txt", "192.0.2.1\n").file("contact.txt", "us");
    let guard = setup.file("page.html", "locked, ask {{ contact }}").start();
    let refused = || guard.client().log_in("bob", "wrong");
    assert_eq!(refused().text(), "locked, ask us");
    let write = |name: &str, text: &str| std::fs::write(guard.dir().join(name), text).unwrap();
    write("page.html", "sorry, ask {{ contact }}");
    write("contact.txt", "them");
    guard.reload();
    assert_eq!(refused().text(), "sorry, ask them");
    write("bad.txt", "127.0.0.0/8 # everybody here\n");
    guard.reload();
    assert_eq!(refused().verdict(), (403, "denied"));
    write("page.html", "{{ broken");
    guard.hang_up();
    guard.wait_for_event("reload_failed");
    assert_eq!(refused().verdict(), (403, "denied"));
}

#[test]
fn bounds_timeouts_and_the_log_change_too() {
    let upstream = Upstream::hello();
    let guard = Guard::start("log: { level: info }\nbounds: { target: 1KiB }", &upstream);
    let long = format!("/{}", "x".repeat(2000));
    let status = || guard.client().get(&long).status;
    assert_eq!(status(), 414);
    guard.reconfigure(|text| text.replace("level: info", "level: warn").replace("1KiB", "4KiB"));
    guard.hang_up();
    wait::until("it is in force", || status() == 200);
    guard.reconfigure(|text| text.replace("level: info", "level: info, access: true"));
    guard.reload();
    assert_eq!(guard.events("reloaded").len(), 1, "the first was below the level");
    assert_eq!(status(), 414);
    guard.wait_for_event("request");
    let (idle, begun) = (guard.client(), wait::now());
    guard.reconfigure(|text| text.replace("bounds:", "timeouts: { head: 300ms }\nbounds:"));
    guard.reload();
    let mut late = guard.client();
    assert!(late.is_closed(), "by the new time");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    drop(idle);
}

#[test]
fn what_takes_a_restart_says_so_and_the_rest_changes() {
    let (old, new) = (Upstream::hello(), Upstream::answering(|_| ok("new")));
    let guard = Guard::start("", &old);
    guard.reconfigure(|text| {
        let text = text.replace(old.url(), new.url()).replace("workers: 2", "workers: 3");
        text.replace("listen: \"127.0.0.1:0\"", "listen: [\"127.0.0.1:0\", \"127.0.0.3:0\"]")
    });
    guard.reload();
    let events = guard.events("restart_needed");
    let keys: Vec<&str> = events.iter().map(|event| event.get("key")).collect();
    assert_eq!(keys, ["listen", "workers"]);
    assert_eq!(guard.client().get("/").text(), "new");
    guard.reconfigure(|text| text.replace(old.url(), new.url()));
    guard.reload();
    assert_eq!(guard.events("restart_needed").len(), 2, "nothing differs any more");
}

#[test]
fn no_request_fails_while_it_reloads() {
    let upstream = Upstream::shop();
    let other = Upstream::shop();
    let guard = Guard::start("lockout: { mode: monitor }", &upstream);
    let ends = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let (ends, answered, address) =
                (Arc::clone(&ends), Arc::clone(&answered), guard.addr());
            std::thread::spawn(move || {
                let mut kept = Client::to_addr(address);
                while !ends.load(Ordering::Relaxed) {
                    let (answer, expected) = match number {
                        0..=2 => (kept.get("/page"), 200),
                        3 => (kept.log_in("bob", "right"), 302),
                        _ => (Client::to_addr(address).get("/page"), 200),
                    };
                    assert_eq!(answer.status, expected, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..20 {
        let enough = answered.load(Ordering::Relaxed) + 60;
        wait::until("they are served", || answered.load(Ordering::Relaxed) >= enough);
        guard.reconfigure(|text| match round % 3 {
            0 => text.replace(upstream.url(), other.url()),
            1 => format!("{text}\nworkers: nonsense"),
            _ => text.to_owned(),
        });
        guard.hang_up();
        if round % 3 == 1 {
            guard.wait_for_events("reload_failed", round / 3 + 1);
        } else {
            guard.wait_for_events("reloaded", round - (round + 1) / 3 + 1);
        }
    }
    ends.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(other.hits() > 0 && upstream.hits() > 0);
}

#[test]
fn with_watch_other_content_is_noticed_also_behind_links() {
    let upstream = Upstream::hello();
    let text = "access: { deny: \"file:mounted/list\", covers: everything }";
    let setup = Setup::new(text).upstream(&upstream).flag("--watch");
    // as Kubernetes mounts it: mounted/list -> ..data/list, ..data -> ..1
    let mounted = setup.dir.path().join("mounted");
    for (version, list) in [("..1", "192.0.2.1"), ("..2", "127.0.0.1")] {
        std::fs::create_dir_all(mounted.join(version)).unwrap();
        std::fs::write(mounted.join(version).join("list"), list).unwrap();
    }
    symlink("..1", mounted.join("..data")).unwrap();
    symlink("..data/list", mounted.join("list")).unwrap();
    let guard = setup.start();
    assert_eq!(guard.client().get("/").status, 200);
    symlink("..2", mounted.join("..next")).unwrap();
    std::fs::rename(mounted.join("..next"), mounted.join("..data")).unwrap();
    let reloaded = guard.wait_for_event("reloaded");
    assert_eq!(reloaded.get("reason"), "changed files");
    assert_eq!(guard.client().get("/").verdict(), (403, "denied"));
    guard.reconfigure(|text| format!("{text}\nwrong: true"));
    guard.wait_for_event("reload_failed");
    guard.reconfigure(|text| text.replace("file:mounted/list", "192.0.2.1"));
    guard.wait_for_events("reloaded", 2);
    assert_eq!(guard.client().get("/").status, 200);
    assert_eq!(guard.events("reload_failed").len(), 1, "once for each change");
}

#[test]
fn a_pipe_in_the_place_of_the_file_holds_nobody_up() {
    let upstream = Upstream::hello();
    let guard = Guard::start(ADMIN, &upstream);
    let text = std::fs::read(guard.config()).unwrap();
    std::fs::remove_file(guard.config()).unwrap();
    let pipe = guard.config();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let admin = guard.admin();
    let asking = std::thread::spawn(move || run(&["reload", "--admin", &admin]));
    let asks = operator(&guard);
    let begun = wait::now();
    for _ in 0..100 {
        assert_eq!(asks.get("/v1/status")["state"], "running");
    }
    assert!(begun.elapsed().as_secs() < 8, "nobody waits for it");
    let said = asking.join().unwrap();
    assert_ne!(said.status, 0);
    assert!(said.err.contains("is it a pipe?"), "{}", said.err);
    let again = run(&["reload", "--admin", &guard.admin()]);
    assert!(again.err.contains("since the last time"), "{}", again.err);
    // whoever reads the pipe reads it to its end
    std::fs::write(&pipe, &text).unwrap();
    std::fs::remove_file(&pipe).unwrap();
    std::fs::write(&pipe, &text).unwrap();
    wait::until("it is read again", || run(&["reload", "--admin", &guard.admin()]).status == 0);
    assert_eq!(guard.client().get("/").text(), "hello");
}
