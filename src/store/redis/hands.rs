//! Locks by hand as all guards know them: a list on the server, and at every site a mark that
//! changes with the list, which every admission compares.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use redis::Value;
use tokio::sync::Mutex as AsyncMutex;

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

/// So many locks the server tells in one piece, about.
const AT_ONCE: &str = "512";
/// A list that takes more pieces is none.
const PIECES: usize = 1_000;
/// So often an attempt is told that the list has changed. By then it was read after the attempt came.
const READINGS: u32 = 2;

/// The mark of a list that nobody has changed yet.
const NO_MARK: &str = "0";

/// The mark of the list, as it was told at each site when it was last read.
#[derive(Debug, Default)]
pub struct Changes {
    marks: Mutex<HashMap<Arc<str>, Arc<str>>>,
    /// Who reads: one after the other, so that nothing older comes after something newer.
    turn: AsyncMutex<()>,
}

impl Changes {
    /// The mark, as far as it is known here.
    #[must_use]
    pub fn known(&self, site: &str) -> Arc<str> {
        lock(&self.marks).get(site).map_or_else(|| NO_MARK.into(), Arc::clone)
    }

    /// The same, as whoever asks for the so-manieth time says it.
    #[must_use]
    pub fn known_in(&self, round: u32, site: &str) -> Arc<str> {
        if round > READINGS { "*".into() } else { self.known(site) }
    }

    /// Whether the list was read since it has that mark, which it has at all sites.
    fn was_read(&self, changes: &str) -> bool {
        changes != NO_MARK && lock(&self.marks).values().any(|mark| **mark == *changes)
    }

    /// The list that was read is at least as new as that.
    pub fn learn(&self, site: &Arc<str>, changes: &str) {
        lock(&self.marks).insert(Arc::clone(site), changes.into());
    }
}

/// What becomes of the locks by hand that are known here when others are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Goes,
    Stays,
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
        let turn = shared.changes.turn.lock().await;
        if !shared.changes.was_read(changes) {
            let read: Pin<Box<dyn Future<Output = _> + Send + '_>> =
                Box::pin(self.read_all(shared, Before::Goes));
            read.await?;
        }
        shared.changes.learn(&claim.subject.site, changes);
        drop(turn);
        Ok(self.hand_lock(&claim.subject, Some(claim)).map(Refusal::ByHand))
    }

    /// Reads the locks by hand anew.
    pub(in crate::store) async fn read_hands(&self, shared: &Shared) -> Result<(), Outage> {
        let _turn = shared.changes.turn.lock().await;
        self.read_all(shared, Before::Goes).await
    }

    /// Reads the locks by hand for the first time: what is known here stays until they change.
    pub(in crate::store) async fn know_hands(&self, shared: &Shared) -> Result<(), Outage> {
        let _turn = shared.changes.turn.lock().await;
        self.read_all(shared, Before::Stays).await
    }

    /// Reads them in pieces, so that many of them hold nobody up who asks the server meanwhile.
    /// Whatever changes in between has another mark, and is read again.
    async fn read_all(&self, shared: &Shared, before: Before) -> Result<(), Outage> {
        let answer = self.ask_hands(shared, By::Attempt, vec![b"now".to_vec()]).await?;
        let now = self.clock.now();
        let there = second(&answer).ok_or_else(|| unreadable(shared))?;
        shared.time.learn(there, now);
        let mut hands: HashMap<Selector, HandLock> = HashMap::new();
        let mut cursor = b"0".to_vec();
        for _ in 0..PIECES {
            let mut asked = redis::cmd("HSCAN");
            asked.arg(shared.names.hands()).arg(cursor.as_slice()).arg("COUNT").arg(AT_ONCE);
            let answer = Box::pin(shared.wire.command(&asked)).await?;
            let (next, parts) = piece(&answer).ok_or_else(|| unreadable(shared))?;
            hands.extend(parts.chunks(2).filter_map(|parts| read(parts, (there, now))));
            if next == b"0" {
                self.take_hands(hands, before, now);
                return Ok(());
            }
            cursor = next.to_vec();
        }
        Err(unreadable(shared))
    }

    /// These are the locks by hand that are in force now.
    fn take_hands(&self, hands: HashMap<Selector, HandLock>, before: Before, now: Moment) {
        let mut ledger = lock(&self.ledger);
        if before == Before::Goes {
            ledger.hand.remove(&Selector::default(), now);
        }
        for (selector, hand) in hands {
            // more than there may be are kept out by whoever locks
            _ = ledger.hand.lock(selector, hand, now);
        }
        ledger.note_hands();
        self.hand_locks.store(ledger.hand.count(), Ordering::Release);
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

/// A lock as the server tells it, whose clock says `there` now. What cannot be read is left out.
fn read(parts: &[Value], (there, now): (i64, Moment)) -> Option<(Selector, HandLock)> {
    let [Value::BulkString(field), Value::BulkString(value)] = parts else { return None };
    let selector = read_selector(&mut Reader::new(field, now))?;
    let blank = memchr::memchr(b' ', value)?;
    let (ends, said) = (value.get(..blank)?, value.get(blank + 1..)?);
    let until = match std::str::from_utf8(ends).ok()? {
        "n" => Moment::NEVER,
        ends => {
            let left = ends.parse::<i64>().ok()?.saturating_sub(there);
            if left <= 0 {
                return None; // it is over
            }
            Moment(now.0.saturating_add_signed(left))
        }
    };
    let (reason, username) = read_said(&mut Reader::new(said, now))?;
    Some((selector, HandLock { until, reason, username }))
}

/// The next cursor, and the fields and values of a piece.
fn piece(answer: &Value) -> Option<(&[u8], &[Value])> {
    let [Value::BulkString(cursor), parts] = answer.as_sequence()? else { return None };
    Some((cursor, parts.as_sequence()?))
}

/// What time it is for a script.
fn second(answer: &Value) -> Option<i64> {
    let now = answer.as_sequence()?.get(1)?;
    if let Value::Int(now) = now { Some(*now) } else { None }
}

/// What a script says first.
fn first(answer: &Value) -> Option<&[u8]> {
    let what = answer.as_sequence()?.first()?;
    if let Value::BulkString(bytes) = what { Some(bytes) } else { None }
}
