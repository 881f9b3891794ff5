//! Leave to go on, from the shared counters: one question where there is room, a line where there
//! is none.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use redis::Value;

use super::answer::{Answer, What, restless, unreadable};
use super::background::By;
use super::lease::Lease;
use super::lines::{Call, Lines, NoRoom, Stand};
use super::outage::Outage;
use super::request::{About, Request};
use super::script::Script;
use super::scripts::ADMIT;
use super::settings::OnOutage;
use super::shared::Shared;
use super::sought::Sought;
use crate::clock::Moment;
use crate::policy::key::{Claim, Key};
use crate::store::ledger::{Refusal, Terms};
use crate::store::memory::lock;
use crate::store::{Permit, Store};

/// A clock that jumps is not followed for ever.
const ROUNDS: u32 = 4;
/// So soon the first of a line asks again, since another guard may have given a place back.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The pause grows until it is so long.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// An attempt that asks to go on.
struct Asking<'a> {
    shared: &'a Shared,
    claim: Arc<Claim>,
    terms: Terms,
    arrival: u64,
    deadline: Moment,
}

/// What the server says to an attempt.
enum Said {
    Admitted(Permit),
    /// This counter is full.
    Full(Key),
    Refused(Refusal),
}

impl Store {
    /// See [`Store::admit`].
    pub(in crate::store) async fn admit_shared(
        self: &Arc<Self>,
        shared: &Shared,
        (claim, terms): (Arc<Claim>, Terms),
        wait: Duration,
    ) -> Result<Permit, Refusal> {
        let deadline = self.clock.now().after(wait);
        let asking = Asking { shared, claim, terms, arrival: shared.arrive(), deadline };
        let (mut is_away, mut is_patient) = (shared.is_away(), true);
        loop {
            if self.is_closed() {
                return Err(Refusal::Busy);
            }
            if is_away && std::mem::replace(&mut is_patient, false) {
                is_away = !shared.is_back(shared.wire.settings().timeout).await;
            }
            let came_of_it = if is_away {
                self.admit_alone(&asking).await
            } else {
                self.admit_served(&asking).await
            };
            match came_of_it {
                Some(admitted) => return admitted,
                None => is_away = !is_away,
            }
        }
    }

    /// While the server is away; nothing where it is back before it is decided.
    async fn admit_alone(self: &Arc<Self>, asking: &Asking<'_>) -> Option<Result<Permit, Refusal>> {
        let shared = asking.shared;
        match shared.wire.settings().on_outage {
            OnOutage::Allow => Some(Ok(self.permit(None, None))),
            OnOutage::Refuse => Some(Err(Refusal::NoStore)),
            OnOutage::Local => {
                shared.until_decided().await;
                if !shared.is_away() {
                    return None;
                }
                let wait = asking.deadline.since(self.clock.now());
                let claim = Arc::clone(&asking.claim);
                tokio::select! {
                    biased;
                    admitted = self.admit_here(claim, asking.terms, wait) => {
                        Some(admitted.map(|permit| permit.begun_alone()))
                    }
                    () = shared.wire.breaker().until_closed() => None,
                }
            }
        }
    }

    /// While the server serves; nothing where it is away before it is decided.
    async fn admit_served(
        self: &Arc<Self>,
        asking: &Asking<'_>,
    ) -> Option<Result<Permit, Refusal>> {
        let Asking { shared, claim, arrival, .. } = asking;
        let before = match shared.waiting() {
            0 => None,
            _ => shared.with_lines(|lines| lines.any_before(claim, *arrival)),
        };
        // whoever has no hope of a place is told so by the server, and does not wait
        if let Some(key) = before.filter(|_| self.would_refuse_here(claim).is_none()) {
            return self.wait_in_line(asking, key).await;
        }
        match self.ask(asking).await {
            Ok(Said::Admitted(permit)) => Some(Ok(permit)),
            Ok(Said::Full(key)) => self.wait_in_line(asking, key).await,
            Ok(Said::Refused(refusal)) => Some(Err(refusal)),
            Err(_) => None,
        }
    }

    async fn wait_in_line(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        on: Key,
    ) -> Option<Result<Permit, Refusal>> {
        let busy = Some(Err(Refusal::Busy));
        let Some(place) = (self.clock.now() < asking.deadline).then(|| InLine::join(asking, on))
        else {
            return busy;
        };
        let Ok(place) = place else { return busy };
        let mut pause = FIRST_PAUSE;
        loop {
            let now = self.clock.now();
            if now >= asking.deadline || self.is_closed() {
                return busy;
            }
            if asking.shared.is_away() {
                return None;
            }
            let (on, stand) = place.stand()?;
            let next = match stand {
                Stand::Behind => asking.deadline,
                Stand::First => now.after(pause).min(asking.deadline),
            };
            let call = tokio::select! {
                biased;
                call = place.called() => call,
                () = self.clock.sleep_until(next) => Call::Nothing,
            };
            match call {
                Call::Refused(refusal) => return Some(Err(refusal)),
                Call::Ask => pause = FIRST_PAUSE,
                Call::Nothing if stand == Stand::First => {
                    pause = (pause * 3 / 2).min(LONGEST_PAUSE);
                }
                Call::Look | Call::Nothing => continue,
            }
            match self.ask_in_turn(asking, on).await {
                Ok(Said::Admitted(permit)) => return Some(Ok(permit)),
                Ok(Said::Refused(refusal)) => return Some(Err(refusal)),
                Ok(Said::Full(key)) if key != on && place.go_over(key).is_err() => return busy,
                Ok(Said::Full(_)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Asks, unless somebody who came before waits for one of its counters: then that is as good as
    /// full. Who has no hope asks in any case, so that its refusal counts.
    async fn ask_in_turn(self: &Arc<Self>, asking: &Asking<'_>, on: Key) -> Result<Said, Outage> {
        let Asking { shared, claim, arrival, .. } = asking;
        let before = shared.with_lines(|lines| lines.before(claim, *arrival, on));
        match before.filter(|_| self.would_refuse_here(claim).is_none()) {
            Some(key) => Ok(Said::Full(key)),
            None => self.ask(asking).await,
        }
    }

    async fn ask(self: &Arc<Self>, asking: &Asking<'_>) -> Result<Said, Outage> {
        let Asking { shared, claim, .. } = asking;
        let Some(about) = self.about(shared, claim) else {
            return Ok(Said::Refused(Refusal::Busy)); // its limits are not those of this store
        };
        for round in 1..=ROUNDS {
            let known = shared.changes.known_in(round, &claim.subject.site);
            if let Some(said) = self.ask_once(asking, &about, &known).await? {
                return Ok(said);
            }
        }
        Err(restless(shared))
    }

    /// Asks; nothing where it has to be asked again, knowing more.
    async fn ask_once(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        about: &About<'_>,
        known: &str,
    ) -> Result<Option<Said>, Outage> {
        let Asking { shared, claim, terms, .. } = asking;
        let sought = Sought::new(shared, claim, self.clock.now());
        let times = (shared.leases.ttl(), shared.not_after(&self.clock));
        let request = about.admit(&sought.lease, times, (known, terms.while_locked));
        let answer = match self.run(shared, &ADMIT, &request).await {
            Ok(answer) => answer,
            Err(outage) => {
                sought.failed(&outage);
                return Err(outage);
            }
        };
        if answer.what == What::Done {
            return Ok(Some(self.admitted(claim, sought.granted(), &answer).await));
        }
        sought.not_granted();
        Ok(match &answer.what {
            What::Hands(changes) => {
                self.refresh_hands(shared, claim, changes).await?.map(Said::Refused)
            }
            What::Late => None,
            What::Done | What::Full | What::Locked | What::Many => {
                Some(self.not_admitted(about, &answer))
            }
        })
    }

    async fn admitted(
        self: &Arc<Self>,
        claim: &Arc<Claim>,
        lease: Arc<Lease>,
        answer: &Answer,
    ) -> Said {
        let held = {
            let (mut ledger, now) = (lock(&self.ledger), self.clock.now());
            let told = self.shared().map(|shared| shared.on_top(&ledger, (claim, answer), now));
            ledger.adopt_held(claim, &told.unwrap_or_default(), now)
        };
        let permit = self.permit(Some(held), Some(lease));
        match self.unless_locked_by_hand(permit).await {
            Ok(permit) => Said::Admitted(permit),
            Err(refusal) => Said::Refused(refusal),
        }
    }

    fn not_admitted(&self, about: &About<'_>, answer: &Answer) -> Said {
        self.adopt(about, answer);
        match about.judge(answer) {
            Err(refusal) => Said::Refused(refusal),
            Ok(full) => full.map_or(Said::Refused(Refusal::Busy), Said::Full),
        }
    }

    /// The counters stand as a script told; whoever waits for them is told what that means.
    pub(in crate::store) fn adopt(&self, about: &About<'_>, answer: &Answer) {
        let Some(shared) = &self.shared else { return };
        {
            let (mut ledger, now) = (lock(&self.ledger), self.clock.now());
            let told = shared.on_top(&ledger, (about.claim, answer), now);
            ledger.adopt(about.claim, &told, now);
        }
        shared.filled(about.claim, |claim| self.would_refuse_here(claim));
    }

    /// What scripts are told of the counters of `claim`; nothing where they are not this store's.
    pub(in crate::store) fn about<'a>(
        &self,
        shared: &Shared,
        claim: &'a Claim,
    ) -> Option<About<'a>> {
        let limits = lock(&self.ledger).limits(claim)?;
        Some(About::new(&shared.names, claim, limits, &self.clock))
    }

    /// Runs a script and reads what it answers.
    pub(in crate::store) async fn run(
        &self,
        shared: &Shared,
        script: &Script,
        request: &Request,
    ) -> Result<Answer, Outage> {
        self.run_by(shared, By::Attempt, (script, request)).await
    }

    /// Reads what a script answered that was asked about so many counters.
    pub(in crate::store) fn read(
        &self,
        shared: &Shared,
        value: &Value,
        counters: usize,
    ) -> Result<Answer, Outage> {
        let now = self.clock.now();
        let answer = Answer::read(value, now).filter(|answer| answer.is_about(counters));
        let answer = answer.ok_or_else(|| unreadable(shared))?;
        shared.time.learn(answer.now, now);
        Ok(answer)
    }
}

/// A place in a line, left when this is dropped.
struct InLine<'a> {
    shared: &'a Shared,
    arrival: u64,
}

impl<'a> InLine<'a> {
    fn join(asking: &Asking<'a>, on: Key) -> Result<Self, NoRoom> {
        let Asking { shared, claim, terms, arrival, .. } = asking;
        shared.with_lines(|lines| lines.join(*arrival, (claim, *terms), on))?;
        Ok(Self { shared, arrival: *arrival })
    }

    fn stand(&self) -> Option<(Key, Stand)> {
        self.shared.with_lines(|lines| lines.stand(self.arrival))
    }

    fn go_over(&self, on: Key) -> Result<(), NoRoom> {
        self.shared.with_lines(|lines| lines.go_over(self.arrival, on))
    }

    async fn called(&self) -> Call {
        let poll = |lines: &mut Lines, waker: &Waker| lines.poll(self.arrival, waker);
        poll_fn(|context| self.shared.with_lines(|lines| poll(lines, context.waker()))).await
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.shared.with_lines(|lines| lines.leave(self.arrival));
    }
}
