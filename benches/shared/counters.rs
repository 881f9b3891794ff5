//! A store, and wrong guesses for it.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loginward::clock::Clock;
use loginward::config::StoreSettings;
use loginward::policy::account::Account;
use loginward::policy::client::{ClientAddr, ClientRules, Prefixes, TrustedProxies};
use loginward::policy::key::{Candidate, CountedLimit, Counting, Keyer, ScopeKind, claim, subject};
use loginward::policy::lockout::{Limit, Parameter, Proof};
use loginward::policy::route::WhileLocked;
use loginward::store::Store;
use loginward::store::ledger::{Settlement, Terms};
use loginward::store::register::LimitName;

const TERMS: Terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1000 };

/// A store with room for so many and more, and its limit.
pub(crate) fn room(clock: &Clock, counters: u32) -> (Arc<Store>, CountedLimit) {
    let most = u64::from(counters) * 4;
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
pub(crate) fn fail(store: &Arc<Store>, limit: &CountedLimit, number: u32) {
    let name = format!("user-{number}@example.com");
    let rules = ClientRules {
        trusted: TrustedProxies::default(),
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    };
    let client = ClientAddr::new(Ipv4Addr::from(number).into());
    let mut subject = subject(&"s".into(), client, &rules);
    subject.candidates = Candidate {
        account: store.keyer().account(&Account::new(&name).expect("a name")),
        shown: Some(name.as_str().into()),
        spelling: store.keyer().spelling(name.as_bytes()),
        name: None,
    }
    .into();
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
