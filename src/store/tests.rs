//! The store as the guard uses it: admit, settle, list, reset, with a driven clock.

mod eviction;
mod hand;
mod handover;
mod interleavings;
mod keep;
mod packing;
mod permit;
mod scan;
mod stress;
mod waiting;

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::policy::account::Account;
use crate::policy::client::{ClientAddr, Prefixes, TrustedProxies};
use crate::policy::key::{Candidate, Counting, ScopeKind, claim, subject};
use crate::policy::lockout::{CoolOff, Parameter, Proof};
use crate::policy::route::{ResetOnSuccess, WhileLocked};
use crate::store::operate::Reset;
use crate::store::select::Row;

const COOL_OFF: Duration = Duration::from_mins(10);
const WAIT: Duration = Duration::from_secs(10);
const FAILURE: Settlement = Settlement::Failure(Proof::Verdict);
const TERMS: Terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1000 };

/// A store and the limits that its attempts are held against.
struct World {
    store: Arc<Store>,
    clock: Clock,
    limits: Vec<CountedLimit>,
}

/// So many failures of the same `by` lock for [`COOL_OFF`].
fn limit(by: Parameter, failures: u32) -> Limit {
    Limit {
        name: by.name().into(),
        by: vec![by],
        failures: NonZeroU32::new(failures).expect("not zero"),
        cool_off: CoolOff::Steps(vec![COOL_OFF]),
        forget_after: COOL_OFF,
        ..Limit::usual()
    }
}

fn rules() -> ClientRules {
    ClientRules {
        trusted: TrustedProxies::default(),
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    }
}

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a store in memory makes of it at once.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match poll(&mut pin!(future)) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

impl Permit {
    /// [`Permit::settle`], which has nothing to wait for here.
    fn settled(self, what: Settlement) -> Vec<Settled> {
        at_once(self.settle(what))
    }
}

impl World {
    fn new(max_counters: u64, max_lockouts: u64, limits: &[Limit]) -> Self {
        let clock = Clock::driven();
        let settings = StoreSettings { max_counters, max_lockouts, snapshot: None, redis: None };
        let store = Store::new(&settings, clock.clone(), Keyer::new([7; 16]));
        let mut world = Self { store, clock, limits: Vec::new() };
        world.reload(limits);
        world
    }

    /// Much room and one limit by username.
    fn by_username(failures: u32) -> Self {
        Self::new(1000, 1000, &[limit(Parameter::Username, failures)])
    }

    fn reload(&mut self, limits: &[Limit]) {
        let register = |limit: &Limit| {
            let (limit_name, kind) = (Arc::clone(&limit.name), ScopeKind::Limit);
            let name = LimitName { site: "s".into(), login: None, limit: limit_name, kind };
            self.store.register(name, Arc::new(limit.clone()))
        };
        self.limits = limits.iter().map(register).collect();
        self.store.reload();
    }

    fn claim_of(&self, user: &str, client: u32, guesses: u32) -> Arc<Claim> {
        let keyer = self.store.keyer();
        let client = ClientAddr::new(Ipv4Addr::from(client).into());
        let mut subject = subject(&"s".into(), client, &rules());
        subject.candidates = Candidate {
            account: keyer.account(&Account::new(user).expect("a name")),
            shown: Some(user.into()),
            spelling: keyer.spelling(user.as_bytes()),
            name: None,
        }
        .into();
        let fallback = self.limits.last().expect("a limit");
        let counting = Counting { limits: &self.limits, fallback };
        Arc::new(claim(keyer, counting, (Arc::new(subject), client), guesses))
    }

    fn claim(&self, user: &str, client: u32) -> Arc<Claim> {
        self.claim_of(user, client, 1)
    }

    /// Admits an attempt that has not to wait.
    #[track_caller]
    fn admit(&self, claim: &Arc<Claim>) -> Result<Permit, Refusal> {
        let mut admission = pin!(self.store.admit(Arc::clone(claim), TERMS, WAIT));
        match poll(&mut admission) {
            Poll::Ready(admitted) => admitted,
            Poll::Pending => panic!("{claim:?} waits"),
        }
    }

    /// A wrong guess of `user` from `client`; what it did, or why it was refused.
    #[track_caller]
    fn fail(&self, user: &str, client: u32) -> Result<Vec<Settled>, Refusal> {
        Ok(self.admit(&self.claim(user, client))?.settled(FAILURE))
    }

    fn rows(&self) -> Vec<Row> {
        self.store.list(&Selector::default())
    }

    /// The counters of `user`, as failures and whether they are locked.
    fn counters_of(&self, user: &str) -> Vec<(u32, bool)> {
        let of = |row: &&Row| row.parameters.iter().any(|(_, value)| value == user);
        let shown = |row: &Row| (row.failures, row.locked_until.is_some());
        self.rows().iter().filter(of).map(shown).collect()
    }
}

/// A name that is used once.
fn name(number: usize) -> String {
    format!("one-off-{number}")
}
