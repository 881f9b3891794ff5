//! Locks by hand as all guards know them: a list on the server, and at every site a mark that
//! changes with the list, which every admission compares.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use redis::Value;

use super::answer::unreadable;
use super::background::By;
use super::outage::Outage;
use super::scripts::HANDS;
use super::shared::{Shared, random};
use crate::clock::{Moment, millis};
use crate::policy::key::Claim;
use crate::store::Store;
use crate::store::hand::{HandLock, MOST, TooMany};
use crate::store::ledger::Refusal;
use crate::store::memory::lock;
use crate::store::moved::{Locks, Taken};
use crate::store::records::{read_said, read_selector, write_said, write_selector};
use crate::store::select::Selector;
use crate::wire::{Reader, Writer};

/// The mark of the list, as it was told at each site when it was last read.
#[derive(Debug, Default)]
pub struct Changes(Mutex<HashMap<Arc<str>, Arc<str>>>);

impl Changes {
    /// The mark, as far as it is known here.
    #[must_use]
    pub fn known(&self, site: &str) -> Arc<str> {
        lock(&self.0).get(site).map_or_else(|| "0".into(), Arc::clone)
    }

    /// The list that was read is at least as new as that.
    pub fn learn(&self, site: &Arc<str>, changes: &str) {
        lock(&self.0).insert(Arc::clone(site), changes.into());
    }

    /// The list has to be read anew, whatever was read before.
    pub fn forget(&self) {
        lock(&self.0).clear();
    }
}

/// Whether a lock by hand stands in the stead of one on the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Whatever that was.
    Always,
    /// If it lasts longer.
    IfLonger,
}

impl Store {
    /// Reads the locks by hand anew, since they have changed, as the site of `claim` was told; the
    /// refusal that it meets then.
    pub(in crate::store) async fn refresh_hands(
        &self,
        shared: &Shared,
        claim: &Claim,
        changes: &str,
    ) -> Result<Option<Refusal>, Outage> {
        let read: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(self.read_hands(shared));
        read.await?;
        shared.changes.learn(&claim.subject.site, changes);
        Ok(self.hand_lock(&claim.subject, Some(claim)).map(Refusal::ByHand))
    }

    /// Reads the locks by hand anew.
    pub(in crate::store) async fn read_hands(&self, shared: &Shared) -> Result<(), Outage> {
        let answer = self.ask_hands(shared, By::Attempt, vec![b"read".to_vec()]).await?;
        let now = self.clock.now();
        let parts = answer.as_sequence().and_then(|parts| parts.get(2..)).unwrap_or_default();
        let hands: Vec<(Selector, HandLock)> =
            parts.chunks(3).filter_map(|parts| read(parts, now)).collect();
        let mut ledger = lock(&self.ledger);
        ledger.hand.remove(&Selector::default(), now);
        for (selector, hand) in hands {
            // more than there may be are kept out by whoever locks
            _ = ledger.hand.lock(selector, hand, now);
        }
        ledger.note_hands();
        self.hand_locks.store(ledger.hand.count(), Ordering::Release);
        Ok(())
    }

    /// Refuses what `selector` means at all guards, from the next admission on.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked; or, within, when there are too many locks by hand.
    pub async fn lock_shared(
        &self,
        (shared, by): (&Shared, By),
        selector: &Selector,
        hand: &HandLock,
        stands: Stands,
    ) -> Result<Result<Taken, TooMany>, Outage> {
        let now = self.clock.now();
        let ends = match hand.until {
            Moment::NEVER => "n".to_owned(),
            until => millis(until.since(now)).to_string(),
        };
        let longer = if stands == Stands::IfLonger { "longer" } else { "set" };
        let words = [MOST.to_string().into_bytes(), field(selector), ends.into_bytes()];
        let mut said = Writer::new(now);
        write_said(hand, &mut said);
        let last = [longer.as_bytes().to_vec(), said.done()];
        let arguments = [b"lock".to_vec()].into_iter().chain(words).chain(last).collect();
        let answer = self.ask_hands(shared, by, arguments).await?;
        let taken = match first(&answer) {
            Some(b"new") => Taken::New(Locks::Yes),
            Some(b"joined") => Taken::Joined(Locks::Yes),
            Some(b"known") => return Ok(Ok(Taken::Known)),
            Some(b"many") => return Ok(Err(TooMany)),
            _ => return Err(unreadable(shared)),
        };
        self.mark_hands(shared, by).await?;
        Ok(Ok(taken))
    }

    /// Takes these locks by hand away at all guards; how many were in force.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn unlock_shared(
        &self,
        (shared, by): (&Shared, By),
        selectors: &[Selector],
    ) -> Result<usize, Outage> {
        let fields = selectors.iter().map(field);
        let arguments = [b"unlock".to_vec()].into_iter().chain(fields).collect();
        let answer = self.ask_hands(shared, by, arguments).await?;
        let Some(Value::Int(removed)) = answer.as_sequence().and_then(|parts| parts.get(2)) else {
            return Err(unreadable(shared));
        };
        self.mark_hands(shared, by).await?;
        Ok(usize::try_from(*removed).unwrap_or_default())
    }

    /// Has every guard read the list before it admits anything more, at whichever site is configured
    /// here; elsewhere it [hears](Self::heed_hands) of it soon. It is no number that counts up: a
    /// server that was restarted empty would count up to the same.
    async fn mark_hands(&self, shared: &Shared, by: By) -> Result<(), Outage> {
        let sites: HashSet<Arc<str>> = {
            let ledger = lock(&self.ledger);
            ledger.register.names().map(|name| Arc::clone(&name.site)).collect()
        };
        let mark = format!("{:032x}", random());
        let sites = sites.iter().map(|site| shared.names.changes(site));
        for name in sites.chain([shared.names.hands_mark()]) {
            let mut asked = redis::cmd("SET");
            asked.arg(name).arg(&mark);
            match by {
                By::Attempt => Box::pin(shared.wire.command(&asked)).await?,
                By::Recovery => Box::pin(shared.wire.command_anyway(&asked)).await?,
            };
        }
        Ok(())
    }

    async fn ask_hands(
        &self,
        shared: &Shared,
        by: By,
        mut arguments: Vec<Vec<u8>>,
    ) -> Result<Value, Outage> {
        arguments.insert(0, self.driven_now().into_bytes());
        let keys = [shared.names.hands()];
        match by {
            By::Attempt => Box::pin(shared.wire.run(&HANDS, &keys, &arguments)).await,
            By::Recovery => Box::pin(shared.wire.run_anyway(&HANDS, &keys, &arguments)).await,
        }
    }
}

/// What a lock is on, as the server keeps it.
fn field(selector: &Selector) -> Vec<u8> {
    let mut writer = Writer::new(Moment(0));
    let network = selector.network.map(|network| network.trunc());
    write_selector(&Selector { network, ..selector.clone() }, &mut writer);
    writer.done()
}

/// A lock as the server tells it. What cannot be read is left out.
fn read(parts: &[Value], now: Moment) -> Option<(Selector, HandLock)> {
    let [Value::BulkString(field), Value::BulkString(ends), Value::BulkString(said)] = parts else {
        return None;
    };
    let selector = read_selector(&mut Reader::new(field, now))?;
    let until = match std::str::from_utf8(ends).ok()? {
        "n" => Moment::NEVER,
        millis => Moment(now.0.saturating_add_signed(millis.parse().ok()?)),
    };
    let (reason, username) = read_said(&mut Reader::new(said, now))?;
    Some((selector, HandLock { until, reason, username }))
}

/// What a script says first.
fn first(answer: &Value) -> Option<&[u8]> {
    let what = answer.as_sequence()?.first()?;
    if let Value::BulkString(bytes) = what { Some(bytes) } else { None }
}
