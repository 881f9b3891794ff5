//! Stores in front of one server, as the guards of a fleet have them.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::server::Server;
use crate::clock::Clock;
use crate::config::StoreSettings;
use crate::policy::account::Account;
use crate::policy::client::{ClientAddr, ClientRules, Prefixes, TrustedProxies};
use crate::policy::key::{
    Candidate, Claim, CountedLimit, Counting, Keyer, ScopeKind, claim, subject,
};
use crate::policy::lockout::{CoolOff, Limit, Parameter, Proof};
use crate::policy::route::WhileLocked;
use crate::store::ledger::{Refusal, Settled, Settlement, Terms};
use crate::store::redis::settings::{Address, OnOutage, Place, RedisSettings};
use crate::store::redis::shared::Shared;
use crate::store::register::LimitName;
use crate::store::{Permit, Store};

pub(super) const COOL_OFF: Duration = Duration::from_mins(10);
pub(super) const WAIT: Duration = Duration::from_secs(20);
pub(super) const FAILURE: Settlement = Settlement::Failure(Proof::Verdict);
pub(super) const TERMS: Terms = Terms { while_locked: WhileLocked::Ignore, bytes: 1000 };

/// A store, and the limits that its attempts are held against.
pub(super) struct Guard {
    pub store: Arc<Store>,
    pub clock: Clock,
    limits: Vec<CountedLimit>,
}

pub(super) fn limit(by: &[Parameter], failures: u32) -> Limit {
    Limit {
        name: by.iter().map(|by| by.name()).collect::<Vec<_>>().join("+").into(),
        by: by.to_vec(),
        failures: NonZeroU32::new(failures).expect("not zero"),
        cool_off: CoolOff::Steps(vec![COOL_OFF]),
        forget_after: COOL_OFF,
        ..Limit::usual()
    }
}

/// How clients are told apart.
pub(super) fn rules() -> ClientRules {
    ClientRules {
        trusted: TrustedProxies::default(),
        header: http::HeaderName::from_static("x-forwarded-for"),
        address: Prefixes { v4: 32, v6: 64 },
        network: Prefixes { v4: 24, v6: 48 },
    }
}

impl Guard {
    /// One before `server`, by the operating system's clock.
    pub(super) fn before(server: &Server, limits: &[Limit]) -> Self {
        Self::new(Some(server), Clock::system(), limits)
    }

    pub(super) fn new(server: Option<&Server>, clock: Clock, limits: &[Limit]) -> Self {
        Self::with((server, OnOutage::Local), clock, limits)
    }

    /// One that does this where the server is away.
    pub(super) fn with(
        (server, on_outage): (Option<&Server>, OnOutage),
        clock: Clock,
        limits: &[Limit],
    ) -> Self {
        let keyer = Keyer::new([7; 16]);
        let redis = server.map(|server| {
            let mut settings = RedisSettings::at(Place::One(Address::Unix(server.socket.clone())));
            settings.on_outage = on_outage;
            // a machine that runs many tests at once may be slow
            settings.timeout = Duration::from_secs(10);
            settings.connect_timeout = Duration::from_secs(10);
            Arc::new(settings)
        });
        let (max_counters, max_lockouts) = (1000, 1000);
        let settings = StoreSettings { max_counters, max_lockouts, snapshot: None, redis };
        let store = Store::new(&settings, clock.clone(), keyer);
        let mut guard = Self { store, clock, limits: Vec::new() };
        guard.reload(limits);
        guard
    }

    pub(super) fn reload(&mut self, limits: &[Limit]) {
        let register = |limit: &Limit| {
            let (limit_name, kind) = (Arc::clone(&limit.name), ScopeKind::Limit);
            let name = LimitName { site: "s".into(), login: None, limit: limit_name, kind };
            self.store.register(name, Arc::new(limit.clone()))
        };
        self.limits = limits.iter().map(register).collect();
        self.store.reload();
    }

    pub(super) fn shared(&self) -> &Shared {
        self.store.shared().expect("it has one")
    }

    pub(super) fn claim_of(&self, user: &str, client: u32, guesses: u32) -> Arc<Claim> {
        let rules = rules();
        let keyer = self.store.keyer();
        let client = ClientAddr::new(Ipv4Addr::from(client).into());
        let mut subject = subject(&"s".into(), client, &rules);
        let account = Account::new(user).expect("a name");
        subject.candidates = Candidate::typed(keyer, user.as_bytes(), &account).into();
        let fallback = self.limits.last().expect("a limit");
        let counting = Counting { limits: &self.limits, fallback };
        Arc::new(claim(keyer, counting, (Arc::new(subject), client), guesses))
    }

    pub(super) fn claim(&self, user: &str, client: u32) -> Arc<Claim> {
        self.claim_of(user, client, 1)
    }

    /// Asks for places, and waits for them.
    pub(super) async fn admit(&self, claim: &Arc<Claim>) -> Result<Permit, Refusal> {
        self.store.admit(Arc::clone(claim), TERMS, WAIT).await
    }

    /// A wrong guess of `user`; what it did, or why it was refused.
    pub(super) async fn fail(&self, user: &str, client: u32) -> Result<Vec<Settled>, Refusal> {
        Ok(self.admit(&self.claim(user, client)).await?.settle(FAILURE).await)
    }

    /// Failures and places of the counters of `user`, as the server has them.
    pub(super) async fn look(&self, user: &str) -> Vec<(u32, u32)> {
        let claim = self.claim(user, 1);
        let about = self.store.about(self.shared(), &claim).expect("its own");
        let peek = about.peek("0");
        let answer =
            self.store.run(self.shared(), &crate::store::redis::scripts::PEEK, &peek).await;
        let told = answer.expect("an answer").told;
        told.iter().map(|told| (told.history.failures(), told.places)).collect()
    }
}
