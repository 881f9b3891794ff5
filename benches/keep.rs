//! How long it takes to write a million counters down and to recall them, and how long an attempt
//! waits meanwhile: `cargo bench --bench keep`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loginward::clock::Clock;
use loginward::config::StoreSettings;
use loginward::policy::account::Account;
use loginward::policy::client::{ClientAddr, ClientRules, Prefixes, TrustedProxies};
use loginward::policy::key::{Candidate, CountedLimit, Counting, Keyer, ScopeKind, claim, subject};
use loginward::policy::lockout::{Limit, Parameter, Proof};
use loginward::policy::route::WhileLocked;
use loginward::store::Store;
use loginward::store::index::PARTS;
use loginward::store::keep::Telling;
use loginward::store::ledger::{Settlement, Terms};
use loginward::store::recall::Recalled;
use loginward::store::register::LimitName;

const COUNTERS: u32 = 1_000_000;
const TERMS: Terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1000 };

fn main() {
    let clock = Clock::driven();
    let (store, limit) = room(&clock);
    for number in 0..COUNTERS {
        fail(&store, &limit, number);
    }
    let (frames, took, waited) = tell_everything(&store, &limit);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!("{COUNTERS} counters: {bytes} bytes, told in {took:?}");
    println!(
        "an attempt meanwhile: half within {:?}, 99 % within {:?}, all {} within {:?}",
        waited[waited.len() / 2],
        waited[waited.len() * 99 / 100],
        waited.len(),
        waited[waited.len() - 1],
    );
    let begun = Instant::now();
    let mut recalled = Recalled::default();
    assert!(frames.iter().all(|frame| recalled.take(frame, clock.now()).is_some()));
    let (next, _) = room(&clock);
    let counters = next.recall(recalled).counters;
    println!("{counters} counters recalled in {:?}", begun.elapsed());
}

/// A store with room for all, and its limit.
fn room(clock: &Clock) -> (Arc<Store>, CountedLimit) {
    let most = u64::from(COUNTERS) * 4;
    let settings =
        StoreSettings { max_counters: most, max_lockouts: most, snapshot: None, redis: None };
    let store = Store::new(&settings, clock.clone(), Keyer::new([7; 16]));
    let failures = NonZeroU32::new(1000).expect("not zero");
    let limit = Limit { by: vec![Parameter::Username], failures, ..Limit::usual() };
    let kind = ScopeKind::Limit;
    let name = LimitName { site: "s".into(), login: None, limit: Arc::clone(&limit.name), kind };
    let limit = store.register(name, Arc::new(limit));
    (store, limit)
}

/// A wrong guess for an account of that number.
fn fail(store: &Arc<Store>, limit: &CountedLimit, number: u32) {
    let name = format!("user-{number}@example.com");
    let rules = ClientRules {
        trusted: TrustedProxies::default(),
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    };
    let client = ClientAddr::new(Ipv4Addr::from(number).into());
    let mut subject = subject(&"s".into(), client, &rules);
    subject.candidates = vec![Candidate {
        account: store.keyer().account(&Account::new(&name).expect("a name")),
        shown: Some(name.as_str().into()),
        spelling: store.keyer().spelling(name.as_bytes()),
        name: None,
    }];
    let counting = Counting { limits: std::slice::from_ref(limit), fallback: limit };
    let claim = Arc::new(claim(store.keyer(), counting, (Arc::new(subject), client), 1));
    let mut admission = pin!(store.admit(claim, TERMS, Duration::ZERO));
    let Poll::Ready(Ok(permit)) = admission.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        return;
    };
    let mut settling = pin!(permit.settle(Settlement::Failure(Proof::Verdict)));
    let settled = settling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(settled.is_ready(), "memory has nothing to wait for");
}

/// Everything as it is written down, how long that took, and how long attempts took meanwhile.
fn tell_everything(
    store: &Arc<Store>,
    limit: &CountedLimit,
) -> (Vec<Vec<u8>>, Duration, Vec<Duration>) {
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let telling = scope.spawn(|| {
            let begun = Instant::now();
            let mut frames = Vec::new();
            for part in 0..PARTS {
                let mut telling = Telling::new(store);
                store.tell_part(part, &mut telling);
                frames.extend(telling.take());
            }
            is_told.store(true, Ordering::Release);
            (frames, begun.elapsed())
        });
        let mut waited = Vec::new();
        for number in (0..COUNTERS).cycle() {
            let begun = Instant::now();
            fail(store, limit, number);
            waited.push(begun.elapsed());
            if is_told.load(Ordering::Acquire) {
                break;
            }
        }
        waited.sort_unstable();
        let (frames, took) = telling.join().expect("it does not panic");
        (frames, took, waited)
    })
}
