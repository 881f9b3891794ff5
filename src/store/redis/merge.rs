//! What a guard knows of counters is added to what the server knows.

use std::sync::Arc;

use super::about::{common, own};
use super::answer::Answer;
use super::background::By;
use super::counter::{Found, limit_text};
use super::local::{Alone, OfferId};
use super::names::counter;
use super::outage::Outage;
use super::request::Request;
use super::scripts::MERGE;
use super::shared::Shared;
use crate::clock::Moment;
use crate::policy::key::{Charge, Subject};
use crate::policy::lockout::History;
use crate::policy::lockout::text::spelling_text;
use crate::store::Store;
use crate::store::memory::lock;
use crate::store::moved::{Incoming, Locks, Taken};
use crate::store::register::Registered;

/// So many counters are merged in one step of the server.
const AT_ONCE: usize = 32;

/// What a guard knows of one counter.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The counter.
    pub charge: Charge,
    /// Whose failures they are.
    pub subject: Arc<Subject>,
    /// What it saw, which the server may have seen, too.
    pub seen: Option<History>,
    /// Which server it saw that on.
    pub on: Server,
    /// What nobody but that guard knows of.
    pub alone: Option<(OfferId, Alone)>,
}

/// On which server a guard saw something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// This one, perhaps.
    Any,
    /// One before this one, which has this name: what guards tell this one that they counted alone
    /// nobody saw there.
    Before(Box<str>),
}

impl Store {
    /// What time it is, as scripts are told: 0 where the server looks for itself.
    pub(in crate::store) fn driven_now(&self) -> String {
        self.clock.driven_now().map_or_else(|| "0".to_owned(), |now| now.0.to_string())
    }

    /// Offers the server what is known of these counters; what became of each. What the server
    /// tells of them is in force here, too.
    ///
    /// # Errors
    ///
    /// When it cannot be asked; it may have taken some of them then. Offering them again changes
    /// nothing.
    pub async fn merge_shared(
        &self,
        (shared, by): (&Shared, By),
        offers: &[Offer],
    ) -> Result<Vec<Taken>, Outage> {
        let mut taken = vec![Taken::Expired; offers.len()];
        let mut order: Vec<usize> = (0..offers.len()).collect();
        let site = |at: &usize| offers.get(*at).map(|offer| &offer.subject.site);
        order.sort_by(|a, b| site(a).cmp(&site(b)));
        for of_site in order.chunk_by(|a, b| site(a) == site(b)) {
            for some in of_site.chunks(AT_ONCE) {
                let some: Vec<(usize, &Offer, Registered)> =
                    some.iter().filter_map(|at| self.with_limit(*at, offers)).collect();
                let became = self.merge_some((shared, by), &some).await?;
                let became = some.iter().map(|(at, ..)| *at).zip(became);
                became.for_each(|(at, became)| set(&mut taken, at, became));
            }
        }
        Ok(taken)
    }

    fn with_limit<'a>(
        &self,
        at: usize,
        offers: &'a [Offer],
    ) -> Option<(usize, &'a Offer, Registered)> {
        let offer = offers.get(at)?;
        let registered = lock(&self.ledger).register.get(offer.charge.limit)?.clone();
        Some((at, offer, registered))
    }

    /// The same, of one site.
    async fn merge_some(
        &self,
        (shared, by): (&Shared, By),
        offers: &[(usize, &Offer, Registered)],
    ) -> Result<Vec<Taken>, Outage> {
        let Some((_, first, _)) = offers.first() else { return Ok(Vec::new()) };
        let site = shared.names.site(&first.subject.site);
        let now = self.clock.now();
        let words = offers.iter().flat_map(|(_, offer, registered)| words(offer, registered, now));
        let request = Request {
            keys: offers.iter().map(|(_, offer, _)| counter(&site, offer.charge.key)).collect(),
            counters: offers.len(),
            arguments: [self.driven_now().into_bytes()].into_iter().chain(words).collect(),
        };
        let answer = self.run_by(shared, by, (&MERGE, &request)).await?;
        self.adopt_merged((shared, by), offers, &answer);
        Ok(answer
            .told
            .iter()
            .map(|told| {
                let locks = if told.history.is_locked() { Locks::Yes } else { Locks::No };
                match (told.found, told.cleared) {
                    (Found::No, _) if told.history.is_blank() => Taken::Expired,
                    (Found::No, _) => Taken::Known,
                    (Found::Yes, 0) => Taken::Joined(locks),
                    (Found::Yes, _) => Taken::New(locks),
                }
            })
            .collect())
    }

    fn adopt_merged(
        &self,
        (shared, by): (&Shared, By),
        offers: &[(usize, &Offer, Registered)],
        answer: &Answer,
    ) {
        let now = self.clock.now();
        let mut ledger = lock(&self.ledger);
        for ((_, offer, registered), told) in offers.iter().zip(&answer.told) {
            // what was seen is offered again, as it was, where a recovery breaks off
            if by == By::Recovery && offer.seen.is_some() {
                continue;
            }
            let key = offer.charge.key;
            let history = {
                let mut locals = lock(&shared.locals);
                locals.done(key, offer.alone.map(|(id, _)| id));
                locals.on_top(key, told.history, &registered.limit, now)
            };
            ledger.adopt_told(&offer.charge, &offer.subject, history, now);
            lock(&shared.locals).settle(key);
        }
        drop(ledger);
        // whoever waits for one of them hears of it
        shared.call_all();
    }
}

fn set(all: &mut [Taken], at: usize, became: Taken) {
    if let Some(taken) = all.get_mut(at) {
        *taken = became;
    }
}

fn words(offer: &Offer, Registered { name, limit }: &Registered, now: Moment) -> [Vec<u8>; 9] {
    let (id, alone) = offer.alone.unwrap_or((0, Alone { latest: now, ..Alone::NONE }));
    let without = alone.without_verdict.min(alone.failures);
    let seen = offer.seen.map_or_else(|| "-".to_owned(), |seen| seen.to_text(now));
    let before = match &offer.on {
        Server::Any => "-",
        Server::Before(name) => name,
    };
    let about = [own(name, offer.charge.candidate), common(&offer.subject)].concat();
    let [limit, seen, before, id, with, without, ago, spelling] = [
        limit_text(limit),
        seen,
        before.to_owned(),
        format!("o:{id:032x}"),
        (alone.failures - without).to_string(),
        without.to_string(),
        now.since(alone.latest).as_millis().to_string(),
        spelling_text(alone.spelling),
    ]
    .map(String::into_bytes);
    [limit, seen, before, id, with, without, ago, spelling, about]
}

impl From<&Incoming> for Offer {
    fn from(incoming: &Incoming) -> Self {
        Self {
            charge: incoming.charge,
            subject: Arc::clone(&incoming.subject),
            seen: Some(incoming.history),
            on: Server::Any,
            alone: None,
        }
    }
}
