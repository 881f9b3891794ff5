//! When the server is back: what operators meant, what this guard saw, where the server may have lost
//! it, how attempts ended, what was counted here alone, and which places are held. Only then attempts
//! ask it again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::background::{AT_ONCE, By};
use super::local::Offered;
use super::merge::{Offer, Server};
use super::outage::Outage;
use super::shared::Shared;
use super::wire::Reached;
use crate::policy::lockout::History;
use crate::store::Store;
use crate::store::memory::lock;
use crate::store::slot::Slot;

/// How long it takes until the server is looked for again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// So often is looked whether attempts that end meanwhile have left something to tell.
const ROUNDS: usize = 4;

/// What a server that knows less than the one before is still to be told: all that this guard saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Debt {
    /// It is told.
    #[default]
    None,
    /// Nobody knows which server it was that knew it.
    OfAny,
    /// It was one that was there before this one.
    OfAnother,
}

impl Store {
    /// Tries until the server is reached and knows what this guard knows; from then on attempts ask
    /// it. Dropped before that, they do not.
    pub async fn recover(&self, shared: &Shared) {
        let mut pause = FIRST_PAUSE;
        while let Err(outage) = self.bring_up_to_date(shared).await {
            shared.wire.breaker().note(&outage);
            shared.closing.send_replace(false);
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause.saturating_mul(2));
        }
        shared.wire.breaker().close();
        shared.closing.send_replace(false);
        shared.call_all();
    }

    async fn bring_up_to_date(&self, shared: &Shared) -> Result<(), Outage> {
        let owes = match shared.wire.reach().await? {
            Reached::Same => Debt::None,
            Reached::First => Debt::OfAny,
            Reached::Another => Debt::OfAnother,
        };
        if owes != Debt::None {
            // until it is paid, whatever breaks off meanwhile
            *lock(&shared.debt) = owes;
            shared.leases.lose_all();
            shared.heard.begin_anew();
            shared.later.begin_anew();
            lock(&shared.locals).begin_anew();
        }
        self.tell_orders(shared, By::Recovery).await?;
        let owes = *lock(&shared.debt);
        if owes != Debt::None {
            self.tell_kept(shared).await?;
            self.offer_seen(shared, owes).await?;
            *lock(&shared.debt) = Debt::None;
        }
        self.tell_what_waits(shared).await?;
        // nobody is admitted alone any more: what is told now is all that there is
        shared.closing.send_replace(true);
        for _ in 0..ROUNDS {
            self.tell_what_waits(shared).await?;
            if shared.is_all_told() {
                break;
            }
        }
        Ok(())
    }

    /// Resets before all that they mean, and places last, since whoever held one may have ended.
    async fn tell_what_waits(&self, shared: &Shared) -> Result<(), Outage> {
        self.tell_orders(shared, By::Recovery).await?;
        while shared.later.count() > 0 {
            self.tell_later(shared, By::Recovery, AT_ONCE).await?;
        }
        self.offer_locals(shared, By::Recovery).await?;
        self.hold_all(shared, By::Recovery).await
    }

    /// Has the server keep the places that it was not asked for.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub async fn hold_all(&self, shared: &Shared, by: By) -> Result<(), Outage> {
        for lease in shared.leases.unasked() {
            if let Err(outage) = self.hold(shared, by, &lease).await {
                shared.leases.lose(&lease);
                return Err(outage);
            }
        }
        Ok(())
    }

    /// Has the server add what was counted here alone.
    ///
    /// # Errors
    ///
    /// When it cannot be told; nothing is lost then, and what it may have taken it does not take
    /// again.
    pub async fn offer_locals(&self, shared: &Shared, by: By) -> Result<(), Outage> {
        let (offered, on) = (lock(&shared.locals).offer(), shared.server_now());
        for some in offered.chunks(AT_ONCE) {
            let offer = |offered: &Offered| Offer {
                alone: offered.alone,
                on: on.clone(),
                ..Offer::of(&offered.slot)
            };
            let offers: Vec<Offer> = some.iter().map(offer).collect();
            self.merge_shared((shared, by), &offers).await?;
        }
        Ok(())
    }

    /// Offers everything that this guard saw to a server that may not have it. What was reset since
    /// it does not take, and what it has already does not become more.
    async fn offer_seen(&self, shared: &Shared, owes: Debt) -> Result<(), Outage> {
        self.offer_hands(shared).await?;
        let on = match owes {
            Debt::None | Debt::OfAny => Server::Any,
            Debt::OfAnother => shared.server_now(),
        };
        let mut told = HashSet::new();
        for part in Self::parts() {
            let mut seen = Vec::new();
            self.scan(part, |found| seen.push((Arc::clone(found.slot), found.history)));
            told.extend(seen.iter().map(|(slot, _)| slot.key));
            self.offer_histories(shared, &on, seen).await?;
        }
        // and what does not count any more here, or not yet
        let others: Vec<_> = {
            let locals = lock(&shared.locals);
            locals.all_seen().filter(|(slot, _)| !told.contains(&slot.key)).collect()
        };
        self.offer_histories(shared, &on, others).await
    }

    async fn offer_histories(
        &self,
        shared: &Shared,
        on: &Server,
        seen: Vec<(Arc<Slot>, History)>,
    ) -> Result<(), Outage> {
        let offers: Vec<Offer> = {
            let locals = lock(&shared.locals);
            let offer = |(slot, history): (Arc<Slot>, History)| {
                let seen = locals.seen(slot.key).unwrap_or(history);
                Offer { seen: Some(seen), on: on.clone(), ..Offer::of(&slot) }
            };
            seen.into_iter().map(offer).collect()
        };
        // what is told of them is not in force here before all is told: it may be offered again
        self.merge_shared((shared, By::Recovery), &offers).await.map(drop)
    }
}

impl Shared {
    /// The server that is there now, as one of which others know nothing yet.
    fn server_now(&self) -> Server {
        self.wire.incarnation().map_or(Server::Any, Server::Before)
    }

    /// Whether the server has been told of everything that has ended, and of all places.
    fn is_all_told(&self) -> bool {
        self.later.count() == 0
            && !lock(&self.locals).is_any_untold()
            && self.leases.unasked().is_empty()
    }
}

impl Offer {
    /// One of nothing yet.
    fn of(slot: &Arc<Slot>) -> Self {
        let (charge, subject) = (slot.charge(), Arc::new(slot.subject()));
        Self { charge, subject, seen: None, on: Server::Any, alone: None }
    }
}
