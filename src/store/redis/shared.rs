//! What a store has besides its own memory where several guards share the counters.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::answer::Answer;
use super::breaker::Breaker;
use super::hands::Changes;
use super::later::Later;
use super::lease::Leases;
use super::lines::Lines;
use super::local::Locals;
use super::meanwhile::Meanwhile;
use super::names::Names;
use super::recover::Debt;
use super::request::NotAfter;
use super::scan::Scan;
use super::settings::{Place, RedisSettings};
use super::spread::Heard;
use super::taken::Places;
use super::wire::Wire;
use crate::clock::{Clock, Moment, millis};
use crate::policy::key::{Claim, Keyer};
use crate::policy::lockout::History;
use crate::store::ledger::{Ledger, Refusal};
use crate::store::memory::lock;

/// For how long places are leased, unless somebody says for how long an exchange may last.
const TTL: Duration = Duration::from_secs(90);
/// By so much two clocks may drift apart between two answers.
const DRIFT: Duration = Duration::from_millis(250);

/// The way to the shared counters, and what this guard knows of them.
#[derive(Debug)]
pub struct Shared {
    /// The way to the server.
    pub wire: Wire,
    /// What things are called there.
    pub names: Names,
    /// The places that this guard's attempts hold there.
    pub leases: Leases,
    /// What the server is still to be told.
    pub later: Later,
    /// What was counted here alone.
    pub locals: Mutex<Locals>,
    /// How often the locks by hand have changed, as far as it is known here.
    pub changes: Changes,
    /// What operators meant while the server was away.
    pub meanwhile: Meanwhile,
    /// How far it is known what other guards reset.
    pub heard: Heard,
    /// When all of it was looked at last.
    pub scan: Scan,
    /// The places that were held then.
    pub places: Places,
    /// The server's clock.
    pub time: ServerTime,
    /// Other limits are in force.
    pub reloaded: Notify,
    /// What a server that knows less than the one before is still owed.
    pub debt: Mutex<Debt>,
    /// Whether nobody is admitted alone any more, since the server is about to be asked again.
    pub closing: watch::Sender<bool>,
    lines: Mutex<Lines>,
    /// How many wait, to be looked at without the lock.
    waiting: AtomicUsize,
    arrivals: AtomicU64,
}

impl Shared {
    /// The way to the server of `settings`, by which nobody has gone yet.
    #[must_use]
    pub fn begin(settings: &Arc<RedisSettings>, keyer: Keyer) -> Self {
        let wire = Wire::new(Arc::clone(settings), Arc::new(Breaker::default()));
        Self::new(wire, keyer, random())
    }

    /// Nothing is known of the server of `wire` yet. `keyer` is the fleet's, `base` is random.
    #[must_use]
    pub fn new(wire: Wire, keyer: Keyer, base: u128) -> Self {
        let names = Names::new(&wire.settings().prefix, keyer);
        Self {
            wire,
            names,
            leases: Leases::new(base, TTL),
            later: Later::default(),
            locals: Mutex::default(),
            changes: Changes::default(),
            meanwhile: Meanwhile::default(),
            heard: Heard::default(),
            scan: Scan::default(),
            places: Places::default(),
            time: ServerTime::default(),
            reloaded: Notify::new(),
            debt: Mutex::default(),
            closing: watch::Sender::new(false),
            lines: Mutex::default(),
            waiting: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
        }
    }

    /// Whether nobody asks the server now.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.wire.breaker().is_open()
    }

    /// Whether the server is asked, once it is known whether it is there: another process than before
    /// may answer, and is brought up to date; so long since then at most. Nothing is lost by dropping
    /// this.
    pub async fn is_back(&self, most: Duration) -> bool {
        self.wire.breaker().until_sure(most).await;
        !self.is_away()
    }

    /// Waits while it is being decided whether the server is asked again. Nothing is lost by
    /// dropping this.
    pub async fn until_decided(&self) {
        if *self.closing.borrow() {
            // the sender lives as long as this does
            drop(self.closing.subscribe().wait_for(|is_closing| !is_closing).await);
        }
    }

    /// The number of another attempt, in order of arrival.
    #[must_use]
    pub fn arrive(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Looks at the lines, or changes them.
    pub fn with_lines<T>(&self, see: impl FnOnce(&mut Lines) -> T) -> T {
        let mut lines = lock(&self.lines);
        let seen = see(&mut lines);
        self.waiting.store(lines.count(), Ordering::Relaxed);
        seen
    }

    /// Places of `claim` are free again, as far as this guard is concerned.
    pub fn freed(&self, claim: &Claim) {
        if self.waiting() > 0 {
            let keys = claim.charges.iter().map(|charge| charge.key);
            self.with_lines(|lines| keys.for_each(|key| lines.call_first(key)));
        }
    }

    /// Counters of `claim` may have less room than before; `refusal` says who has no hope any more.
    pub fn filled(&self, claim: &Claim, refusal: impl Fn(&Claim) -> Option<Refusal>) {
        if self.waiting() > 0 {
            let keys = claim.charges.iter().map(|charge| charge.key);
            self.with_lines(|lines| keys.for_each(|key| lines.call_hopeless(key, &refusal)));
        }
    }

    /// Everybody who waits looks at the time and at the store anew.
    pub fn call_all(&self) {
        if self.waiting() > 0 {
            self.with_lines(Lines::call_all);
        }
    }

    /// The counters of an attempt as they stand here when the server answers so: what it does not
    /// know yet comes on top.
    #[must_use]
    pub fn on_top(
        &self,
        ledger: &Ledger,
        (claim, answer): (&Claim, &Answer),
        now: Moment,
    ) -> Vec<History> {
        let mut locals = lock(&self.locals);
        if locals.count() == 0 {
            return answer.histories();
        }
        let told = claim.charges.iter().zip(&answer.told);
        let here = told.map(|(charge, told)| match ledger.limit(charge.limit) {
            Some(limit) => locals.on_top(charge.key, told.history, &limit, now),
            None => told.history,
        });
        here.collect()
    }

    /// After when a script that is sent now is too late.
    #[must_use]
    pub fn not_after(&self, clock: &Clock) -> NotAfter {
        if clock.driven_now().is_some() {
            return 0;
        }
        self.time.after(clock.now(), self.late_for())
    }

    /// So long after it was sent, a script that nobody waits for any more may still be carried out.
    #[must_use]
    pub fn late_for(&self) -> Duration {
        let settings = self.wire.settings();
        settings.timeout + settings.connect_timeout + DRIFT
    }

    /// For how long the server has to remember that a lease is over that is settled at once, in
    /// milliseconds: the client of a Cluster says things again by itself.
    #[must_use]
    pub fn may_repeat_for(&self) -> u64 {
        match self.wire.settings().place {
            Place::Cluster(_) => millis(self.late_for()),
            Place::One(_) | Place::Sentinel { .. } => 0,
        }
    }
}

/// What no two guards have in common, and nobody needs to be unable to guess.
pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_ok() {
        return u128::from_le_bytes(bytes);
    }
    let half = |at: u8| u128::from(RandomState::new().hash_one(at));
    half(0) << 64 | half(1)
}

/// How far the server's clock is ahead of this guard's, in milliseconds, once it has told.
#[derive(Debug)]
pub struct ServerTime(AtomicI64);

impl Default for ServerTime {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl ServerTime {
    /// It was `there` on the server a moment before `here`.
    pub fn learn(&self, there: i64, here: Moment) {
        self.0.store(there.wrapping_sub_unsigned(here.0), Ordering::Relaxed);
    }

    fn after(&self, now: Moment, by: Duration) -> NotAfter {
        match self.0.load(Ordering::Relaxed) {
            i64::MIN => 0,
            ahead => ahead.wrapping_add_unsigned(now.0).saturating_add_unsigned(millis(by)),
        }
    }
}
