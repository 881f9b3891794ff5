//! Taking away what an operator means of shared counters.

use std::sync::Arc;
use std::time::Duration;

use super::background::By;
use super::counter::{Found as Was, limit_text};
use super::names::counter;
use super::outage::Outage;
use super::request::Request;
use super::scripts::RESET;
use super::shared::Shared;
use crate::clock::millis;
use crate::policy::lockout::Limit;
use crate::store::Store;
use crate::store::memory::lock;
use crate::store::operate::Reset;
use crate::store::slot::Slot;

/// So many counters are reset in one step of the server.
const AT_ONCE: usize = 64;
/// Nothing is taken away: counters are held against their limits.
const AGE: &str = "age";

/// What an operator means, and how long ago that was.
#[derive(Clone, Copy, Debug)]
pub struct Meant {
    /// How much of a counter it takes away.
    pub what: Reset,
    /// What failed since stays.
    pub ago: Duration,
}

impl Store {
    /// Takes away what a reset takes of these counters; how many held any. Places stay, and whoever
    /// waits for one may get it.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked; some of them may be reset then.
    pub async fn reset_shared(
        &self,
        to: (&Shared, By),
        slots: &[Arc<Slot>],
        Meant { what, ago }: Meant,
    ) -> Result<usize, Outage> {
        let what = match what {
            Reset::Everything => "all",
            Reset::WithoutVerdict => "pardon",
        };
        let removed = self.change_slots(to, slots, (what, ago)).await?;
        self.spread_reset(to, slots).await?;
        Ok(removed)
    }

    /// Holds the counters that are known here against the limits as they are registered now.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn reload_shared(&self, shared: &Shared) -> Result<(), Outage> {
        for part in Self::parts() {
            let mut slots = Vec::new();
            self.scan(part, |found| slots.push(Arc::clone(found.slot)));
            self.change_slots((shared, By::Attempt), &slots, (AGE, Duration::ZERO)).await?;
        }
        Ok(())
    }

    async fn change_slots(
        &self,
        to: (&Shared, By),
        slots: &[Arc<Slot>],
        meant: (&str, Duration),
    ) -> Result<usize, Outage> {
        let limit = |slot: &Arc<Slot>| Some((Arc::clone(slot), self.limit(slot.limit)?));
        let mut counters: Vec<_> = slots.iter().filter_map(limit).collect();
        counters.sort_by(|(a, _), (b, _)| a.site.cmp(&b.site));
        let mut removed = 0;
        for of_site in counters.chunk_by(|(a, _), (b, _)| a.site == b.site) {
            for some in of_site.chunks(AT_ONCE) {
                removed += self.change_some(to, some, meant).await?;
            }
        }
        Ok(removed)
    }

    /// The same, of one site.
    async fn change_some(
        &self,
        (shared, by): (&Shared, By),
        counters: &[(Arc<Slot>, Arc<Limit>)],
        (what, ago): (&str, Duration),
    ) -> Result<usize, Outage> {
        let Some((first, _)) = counters.first() else { return Ok(0) };
        let site = shared.names.site(&first.site);
        let now = self.clock.driven_now().map_or_else(|| "0".to_owned(), |now| now.0.to_string());
        let first = [now, millis(ago).to_string(), what.to_owned()];
        let limits = counters.iter().map(|(_, limit)| limit_text(limit));
        let request = Request {
            keys: counters.iter().map(|(slot, _)| counter(&site, slot.key)).collect(),
            counters: counters.len(),
            arguments: first.into_iter().chain(limits).map(String::into_bytes).collect(),
        };
        let answer = self.run_by(shared, by, (&RESET, &request)).await?;
        let told = counters.iter().zip(&answer.told).map(|((slot, _), told)| (slot, told.history));
        // what is only aged is aged here as well, and an attempt may have told of it since
        if what != AGE {
            lock(&self.ledger).adopt_slots(told, self.clock.now());
        }
        if shared.waiting() > 0 {
            let keys = counters.iter().map(|(slot, _)| slot.key);
            shared.with_lines(|lines| keys.for_each(|key| lines.call_first(key)));
        }
        Ok(answer.told.iter().filter(|told| told.found == Was::Yes).count())
    }
}
