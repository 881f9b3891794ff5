//! What is known here is brought up to what all guards know: all counters of the server, in pieces.
//!
//! The counters of this process are a mirror, of which lists are made. Whatever is on the server and
//! is configured here comes in, as far as there is room; whatever has vanished there goes here, too.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;

use super::about::About;
use super::answer::unreadable;
use super::names::counter;
use super::outage::Outage;
use super::scripts::SHOW;
use super::shared::Shared;
use super::taken::Taken;
use super::wire::nodes::Node;
use crate::clock::Moment;
use crate::policy::key::{Charge, Key};
use crate::policy::lockout::History;
use crate::policy::lockout::text::number;
use crate::store::memory::lock;
use crate::store::slot::Slot;
use crate::store::{Reach, Store};

/// So many keys the server looks at in one step, about.
const AT_ONCE: &str = "512";
/// So many counters are told in one step.
const TOLD_AT_ONCE: usize = 64;
/// Whoever asks again and again is told of what was so long ago at most, measured by how long it
/// takes to look.
const REST: u32 = 4;
/// It may always be looked again where it takes no longer.
const QUICK: Duration = Duration::from_millis(250);

/// For so long an operator waits for a server that was restarted to be brought up to date.
const PATIENCE: Duration = Duration::from_secs(2);

/// When all was looked at last.
#[derive(Debug, Default)]
pub struct Scan(Mutex<Option<Looked>>);

#[derive(Clone, Copy, Debug)]
struct Looked {
    begun: Moment,
    ended: Moment,
}

/// A counter as the server shows it.
struct Shown {
    about: About,
    /// Places that have run out: failures, once somebody touches it.
    lost: u32,
    /// Places that are held.
    held: u32,
    history: History,
}

impl Store {
    /// Brings what lists are made of up to date, where that is elsewhere.
    pub async fn refresh(&self) -> Reach {
        let Some(shared) = self.shared() else { return Reach::Here };
        if shared.is_away() && !shared.is_back(PATIENCE).await {
            shared.places.unknown();
            return Reach::Alone;
        }
        let asked = self.clock.now();
        let mut last = shared.scan.0.lock().await;
        if last.is_some_and(|last| last.is_new_enough(asked, self.clock.now())) {
            return Reach::Everywhere;
        }
        let begun = self.clock.now();
        let mut looked = Box::pin(self.look(shared)).await;
        if looked.is_err() && shared.is_back(PATIENCE).await {
            looked = Box::pin(self.look(shared)).await;
        }
        if looked.is_err() {
            shared.places.unknown();
            return Reach::Alone;
        }
        *last = Some(Looked { begun, ended: self.clock.now() });
        Reach::Everywhere
    }

    /// Brings the locks by hand up to date, where they are elsewhere.
    pub async fn refresh_hand_locks(&self) -> Reach {
        match self.shared() {
            None => Reach::Here,
            Some(shared) if !shared.is_back(PATIENCE).await => Reach::Alone,
            Some(shared) => match Box::pin(self.read_hands(shared)).await {
                Ok(()) => Reach::Everywhere,
                Err(_) if !shared.is_back(PATIENCE).await => Reach::Alone,
                Err(_) => match Box::pin(self.read_hands(shared)).await {
                    Ok(()) => Reach::Everywhere,
                    Err(_) => Reach::Alone,
                },
            },
        }
    }

    async fn look(&self, shared: &Shared) -> Result<(), Outage> {
        self.read_hands(shared).await?;
        let mut seen = Seen::default();
        for node in Box::pin(shared.wire.nodes()).await? {
            self.look_at(shared, node, &mut seen).await?;
        }
        shared.places.found(seen.taken);
        self.forget_vanished(shared, &seen.keys).await
    }

    /// Looks at the counters of one server.
    async fn look_at(&self, shared: &Shared, node: Node, seen: &mut Seen) -> Result<(), Outage> {
        let mut cursor = b"0".to_vec();
        loop {
            let mut asked = redis::cmd("SCAN");
            asked.arg(cursor.as_slice()).arg("MATCH").arg(shared.names.counters());
            asked.arg("COUNT").arg(AT_ONCE);
            let answer = Box::pin(shared.wire.command_of(node, &asked)).await?;
            let (next, keys) = page(&answer).ok_or_else(|| unreadable(shared))?;
            let named: Vec<(&str, Key)> = keys.iter().filter_map(|name| named(name)).collect();
            seen.keys.extend(named.iter().map(|(_, key)| *key));
            for (site, keys) in by_site(named) {
                self.look_up(shared, (site, &keys), &mut seen.taken).await?;
            }
            if next == b"0" {
                return Ok(());
            }
            cursor = next;
            // whatever else there is to do, such as to end
            tokio::task::yield_now().await;
        }
    }

    /// Takes these counters of a site in as they stand.
    async fn look_up(
        &self,
        shared: &Shared,
        (site, keys): (&str, &[Key]),
        taken: &mut Taken,
    ) -> Result<(), Outage> {
        for keys in keys.chunks(TOLD_AT_ONCE) {
            let shown = self.shown(shared, site, keys).await?;
            let there =
                keys.iter().zip(&shown).filter_map(|(key, shown)| Some((key, shown.as_ref()?)));
            there.for_each(|(key, shown)| self.take_shown((shared, *key), shown, taken));
        }
        Ok(())
    }

    /// Takes these counters in as they stand now; those that are not there any more are forgotten.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub(super) async fn look_again(
        &self,
        shared: &Shared,
        slots: Vec<Arc<Slot>>,
    ) -> Result<(), Outage> {
        let seen = |slot: Arc<Slot>| {
            let history = slot.state().history();
            (shared.names.site(&slot.site), (slot, history))
        };
        for (site, slots) in by_site(slots.into_iter().map(seen).collect()) {
            let keys: Vec<Key> = slots.iter().map(|(slot, _)| slot.key).collect();
            self.look_up(shared, (&site, &keys), &mut Taken::default()).await?;
            self.forget_absent(shared, &site, &slots).await?;
        }
        Ok(())
    }

    /// Takes a counter in, if its limit is configured here.
    fn take_shown(&self, (shared, key): (&Shared, Key), shown: &Shown, taken: &mut Taken) {
        let Shown { about, lost, held, history } = shown;
        let now = self.clock.now();
        let mut ledger = lock(&self.ledger);
        let Some(id) = ledger.register.find(&about.name) else { return };
        let Some(limit) = ledger.limit(id) else { return };
        let history = history.with_lost(&limit, *lost, now);
        let charge = Charge { key, limit: id, candidate: about.candidate };
        let history = lock(&shared.locals).on_top(key, history, &limit, now);
        ledger.adopt_told(&charge, &about.subject, history, now);
        if *held > 0 {
            let known = ledger.counters.look(key);
            let slot = known
                .unwrap_or_else(|| Arc::new(Slot::new(&charge, &about.subject, &mut Vec::new())));
            taken.insert(key, (slot, *held));
        }
    }

    /// What the server shows of these counters; nothing of those that are not there.
    async fn shown(
        &self,
        shared: &Shared,
        site: &str,
        keys: &[Key],
    ) -> Result<Vec<Option<Shown>>, Outage> {
        let names: Vec<Vec<u8>> = keys.iter().map(|key| counter(site, *key)).collect();
        let arguments = [self.driven_now().into_bytes()];
        let answer = Box::pin(shared.wire.run(&SHOW, &names, &arguments)).await?;
        let now = self.clock.now();
        let told = answer.as_sequence().and_then(|parts| parts.get(2..)).unwrap_or_default();
        let shown = told.chunks(2).map(|told| read(told, now));
        shown.collect::<Option<Vec<_>>>().ok_or_else(|| unreadable(shared))
    }

    /// What is here and was not `seen` on the server is gone, if it is not there now.
    async fn forget_vanished(&self, shared: &Shared, seen: &HashSet<Key>) -> Result<(), Outage> {
        for part in Self::parts() {
            for (site, slots) in by_site(self.missed(shared, part, seen)) {
                self.forget_absent(shared, &site, &slots).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// What of one part was not `seen` on the server, by its site there.
    fn missed(&self, shared: &Shared, part: usize, seen: &HashSet<Key>) -> Vec<(String, Missed)> {
        let mut missed = Vec::new();
        self.scan(part, |found| {
            if seen.contains(&found.slot.key) {
                return;
            }
            let site = shared.names.site(&found.slot.site);
            let history = found.slot.state().history();
            missed.push((site, (Arc::clone(found.slot), history)));
        });
        missed
    }

    /// Forgets those of these counters that are not on the server.
    async fn forget_absent(
        &self,
        shared: &Shared,
        site: &str,
        slots: &[Missed],
    ) -> Result<(), Outage> {
        for slots in slots.chunks(TOLD_AT_ONCE) {
            let keys: Vec<Key> = slots.iter().map(|(slot, _)| slot.key).collect();
            let shown = self.shown(shared, site, &keys).await?;
            let gone = slots.iter().zip(shown).filter(|(_, shown)| shown.is_none());
            let now = self.clock.now();
            let mut ledger = lock(&self.ledger);
            gone.for_each(|((slot, seen), _)| ledger.forget_told(slot.key, seen, now));
        }
        Ok(())
    }
}

/// What is on the server.
#[derive(Default)]
struct Seen {
    keys: HashSet<Key>,
    taken: Taken,
}

/// A counter that is here, and what it remembered.
type Missed = (Arc<Slot>, History);

/// Things of each site together.
fn by_site<S: Ord, T>(things: Vec<(S, T)>) -> BTreeMap<S, Vec<T>> {
    let mut sites: BTreeMap<S, Vec<T>> = BTreeMap::new();
    for (site, thing) in things {
        sites.entry(site).or_default().push(thing);
    }
    sites
}

impl Looked {
    /// Whether that is new enough for whoever asked then and looks now.
    fn is_new_enough(self, asked: Moment, now: Moment) -> bool {
        let took = self.ended.since(self.begun);
        self.begun > asked || (took > QUICK && now.since(self.ended) < took * REST)
    }
}

/// The next cursor, and the keys that were found.
fn page(answer: &Value) -> Option<(Vec<u8>, Vec<String>)> {
    let [cursor, keys] = answer.as_sequence()? else { return None };
    let keys = keys.as_sequence()?.iter().filter_map(|key| String::from_utf8(bytes(key)?).ok());
    Some((bytes(cursor)?, keys.collect()))
}

/// The site and the key that a name is made of.
fn named(name: &str) -> Option<(&str, Key)> {
    let (site, key) = name.rsplit_once(":c:")?;
    u128::from_str_radix(key, 16).ok().map(|key| (site, Key(key)))
}

/// What is told of one counter; nothing where it is something else.
fn read(told: &[Value], now: Moment) -> Option<Option<Shown>> {
    let [about, stands] = told else { return None };
    let about = bytes(about)?;
    if about.is_empty() {
        return Some(None);
    }
    let stands = String::from_utf8(bytes(stands)?).ok()?;
    let mut words = stands.split(' ');
    let (lost, held) = (number(words.next()?)?, number(words.next()?)?);
    let history = History::from_text(&mut words, now)?;
    // what another version of the program wrote is not shown
    Some(About::read(&about).map(|about| Shown { about, lost, held, history }))
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes.clone()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_as_it_was_put_together() {
        let site = "a:c:b:{0123456789abcdef}";
        let name = String::from_utf8(counter(site, Key(77))).unwrap();
        assert_eq!(named(&name), Some((site, Key(77))));
        assert_eq!(named("a:{hands}"), None);
        assert_eq!(named("a:c:xyz"), None);
    }

    #[test]
    fn whoever_asks_again_and_again_is_told_what_was_a_while_ago() {
        let check = |took: u64, ago: u64, expected| {
            let looked = Looked { begun: Moment(10_000), ended: Moment(10_000 + took) };
            let now = Moment(10_000 + took + ago);
            assert_eq!(looked.is_new_enough(now, now), expected, "{took} {ago}");
        };
        check(5, 1, false);
        check(500, 100, true);
        check(500, 3_000, false);
        let looked = Looked { begun: Moment(10), ended: Moment(20) };
        assert!(looked.is_new_enough(Moment(9), Moment(21)), "it began after that");
    }
}
