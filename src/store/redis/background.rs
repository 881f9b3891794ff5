//! What is done for the shared counters while no attempt waits for it: leases are renewed, and the
//! server is told what it could not be told at once.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use redis::Value;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::answer::{Answer, known};
use super::later::Unsettled;
use super::lease::{Known, Lease};
use super::outage::Outage;
use super::request::{Owed, Request, action};
use super::script::Script;
use super::scripts::{RENEW, SETTLE};
use super::shared::Shared;
use crate::clock::millis;
use crate::policy::key::Claim;
use crate::store::Store;
use crate::store::ledger::Settlement;
use crate::store::memory::lock;

/// So often it is looked which leases have to be renewed.
const EVERY: Duration = Duration::from_secs(1);
/// So many settlements are told before it is looked whether anything else is to be done.
pub(super) const AT_ONCE: usize = 64;
/// For so long a guard that ends goes on telling what the server does not know.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The thread that does it; ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    thread: Option<JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

impl Background {
    /// Begins, for a store whose counters are shared; nothing for any other.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn begin(store: &Arc<Store>) -> io::Result<Option<Self>> {
        if store.shared().is_none() {
            return Ok(None);
        }
        let (end, over) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let store = Arc::downgrade(store);
        let life = move || runtime.block_on(look_after(store, over));
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(life)?;
        Ok(Some(Self { thread: Some(thread), end: Some(end) }))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join()); // it has no panic to tell of: a panic ends the process
        }
    }
}

/// What a server is asked.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Value, Outage>> + Send + 'a>>;

/// How what is done in the background gets past the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It does not.
    Attempt,
    /// It brings the server up to date, and the breaker stays open until it has.
    Recovery,
}

async fn look_after(store: Weak<Store>, mut over: oneshot::Receiver<()>) {
    find_out(&store).await;
    let mut renewal = tokio::time::interval(EVERY);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(store) = store.upgrade() else { return };
        let Some(shared) = store.shared() else { return };
        let breaker = shared.wire.breaker();
        if breaker.is_open() {
            tokio::select! {
                () = store.recover(shared) => {}
                _ = &mut over => return,
            }
        }
        tokio::select! {
            _ = &mut over => {
                // whatever is not told by then runs out
                drop(tokio::time::timeout(LAST_WORDS, store.tell_all(shared)).await);
                return;
            }
            () = breaker.until_tripped() => {}
            () = shared.later.come() => {}
            () = shared.reloaded.notified() => {
                // whatever is not told now is held against its limit by the next attempt
                drop(store.reload_shared(shared).await);
            }
            _ = renewal.tick() => {
                store.renew_leases(shared).await;
                // what goes wrong opens the breaker
                drop(store.heed(shared).await);
            }
        }
        // what cannot be told now is told when the server is back
        drop(store.tell_all(shared).await);
    }
}

/// Finds out whether the server is there and who is locked by hand, before an attempt does.
async fn find_out(store: &Weak<Store>) {
    let Some(store) = store.upgrade() else { return };
    let Some(shared) = store.shared() else { return };
    match shared.wire.reach().await {
        Err(outage) => {
            shared.wire.breaker().trip(&outage);
        }
        // what goes wrong opens the breaker
        Ok(_) => drop(store.know_hands(shared).await),
    }
}

impl Store {
    async fn tell_all(&self, shared: &Shared) -> Result<(), Outage> {
        while shared.later.count() > 0 {
            self.tell_later(shared, By::Attempt, AT_ONCE).await?;
        }
        if shared.is_away() {
            return Ok(()); // whoever finds it again goes on
        }
        // attempts that were admitted while the server was away have ended since, or still go on
        self.hold_all(shared, By::Attempt).await?;
        if lock(&shared.locals).count() > 0 {
            self.offer_locals(shared, By::Attempt).await?;
        }
        Ok(())
    }

    /// Tells the server how attempts ended of which it may not know, at most so many of them.
    ///
    /// # Errors
    ///
    /// When it cannot be told; nothing is lost then.
    pub async fn tell_later(&self, shared: &Shared, by: By, most: usize) -> Result<(), Outage> {
        let mut taken = shared.later.take(most).into_iter();
        while let Some(unsettled) = taken.next() {
            if let Err(outage) = self.tell_end(shared, by, &unsettled).await {
                let left = std::iter::once(unsettled).chain(taken).collect();
                shared.later.put_back(left);
                return Err(outage);
            }
        }
        Ok(())
    }

    async fn tell_end(&self, shared: &Shared, by: By, one: &Unsettled) -> Result<(), Outage> {
        let Unsettled { lease, what, owed, ended } = one;
        let about = self.about(shared, &lease.claim);
        let answer = match &about {
            None => None, // its limits are not those of this store any more
            Some(about) => {
                let ago = self.clock.now().since(*ended);
                // what was given up for lost may still come
                let times = (ago, millis(shared.late_for()));
                let before = before(shared, &lease.claim);
                let request = about.settle(lease, (owed.due(&before), times), *what);
                let answer = self.run_by(shared, by, (&SETTLE, &request)).await?;
                self.describe((shared, by), (about, *owed), &answer).await;
                Some(answer)
            }
        };
        self.is_told(shared, &lease.claim, *what);
        if let Some((about, answer)) = about.zip(answer) {
            if *owed == Owed::IfUnseen {
                self.is_told_unseen(shared, (&lease.claim, &answer), *what);
            }
            self.adopt(&about, &answer);
        }
        let mut locals = lock(&shared.locals);
        lease.claim.charges.iter().for_each(|charge| locals.settle(charge.key));
        drop(locals);
        shared.freed(&lease.claim);
        Ok(())
    }

    /// The server knows of an attempt of which it was to be told by its lease.
    fn is_told(&self, shared: &Shared, claim: &Claim, what: Settlement) {
        let ledger = lock(&self.ledger);
        let mut locals = lock(&shared.locals);
        let charges = claim.charges.iter();
        for (key, limit) in charges.filter_map(|c| Some((c.key, ledger.limit(c.limit)?))) {
            locals.told(key, action(claim, &limit, what));
        }
    }

    /// The same of one that only a server before may have heard of, which was told that `answer`.
    fn is_told_unseen(
        &self,
        shared: &Shared,
        (claim, answer): (&Claim, &Answer),
        what: Settlement,
    ) {
        let ledger = lock(&self.ledger);
        let mut locals = lock(&shared.locals);
        for (charge, told) in claim.charges.iter().zip(&answer.told) {
            if let Some(limit) = ledger.limit(charge.limit) {
                let action = action(claim, &limit, what);
                locals.told_unseen(charge.key, action, told.history.failures());
            }
        }
    }

    /// Renews the leases that run for a third of their time.
    pub async fn renew_leases(&self, shared: &Shared) {
        for lease in shared.leases.due(self.clock.now()) {
            if self.renew(shared, &lease).await.is_err() {
                return; // whoever finds out that the server is back goes on
            }
        }
    }

    async fn renew(&self, shared: &Shared, lease: &Lease) -> Result<(), Outage> {
        let Some(about) = self.about(shared, &lease.claim) else { return Ok(()) };
        let asked = self.clock.now();
        let Request { keys, arguments, .. } = about.renew(lease, shared.leases.ttl());
        let renewing: Asked<'_> = Box::pin(shared.wire.run(&RENEW, &keys, &arguments));
        let value = renewing.await?;
        if known(&value) == Some(keys.len()) {
            shared.leases.renewed(lease, asked, Known::Everywhere);
        } else if lease.is_sure(asked) {
            // it cannot have run out: the server has lost it
            shared.leases.lose(lease);
        } else {
            shared.leases.renewed(lease, asked, Known::Lost);
        }
        Ok(())
    }

    /// Runs a script and reads what it answers.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn run_by(
        &self,
        shared: &Shared,
        by: By,
        (script, request): (&Script, &Request),
    ) -> Result<Answer, Outage> {
        let Request { keys, arguments, counters } = request;
        // nobody who waits for an attempt need know how a connection comes to be
        let asked: Asked<'_> = match by {
            By::Attempt => Box::pin(shared.wire.run(script, keys, arguments)),
            By::Recovery => Box::pin(shared.wire.run_anyway(script, keys, arguments)),
        };
        let value = asked.await?;
        self.read(shared, &value, *counters)
    }
}

/// How many failures of each counter a server that is gone accounts for.
fn before(shared: &Shared, claim: &Claim) -> Vec<Option<u32>> {
    let locals = lock(&shared.locals);
    claim.charges.iter().map(|charge| locals.before(charge.key)).collect()
}
