//! The scripts do what [`History`] does: random sequences on both, with a driven clock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::server::Server;
use crate::clock::Moment;
use crate::policy::lockout::{CoolOff, Failure, Forget, History, Limit, Proof, Room, Spelling};
use crate::store::redis::counter::{Action, Began, Found, Told, limit_text, spelling};
use crate::store::redis::script::Script;
use crate::store::redis::scripts::{ADMIT, CHARGE, PEEK, RENEW, RESET, SETTLE};

const TTL: u64 = 4_000;
/// For how long a counter knows which leases ran out.
const LOST_KNOWN: Duration = Duration::from_hours(1);
const COUNTERS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Admit { guesses: u32, counts: bool },
    Charge { guesses: u32, how: u8, spelled: u8 },
    Peek,
    Relimit { at: usize, failures: u32, leaks: bool, steps: Vec<u16> },
    Renew { which: prop::sample::Index },
    Reset { pardon: bool, ago: u16 },
    Settle { which: prop::sample::Index, how: [u8; COUNTERS], spelled: u8, sure: bool },
    Wait { millis: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let guesses = || prop_oneof![6 => Just(1_u32), 1 => 2..4_u32];
    let index = any::<prop::sample::Index>;
    let steps = prop::collection::vec(1..8000_u16, 0..3);
    prop_oneof![
        8 => (guesses(), any::<bool>()).prop_map(|(guesses, counts)| Step::Admit { guesses, counts }),
        2 => (guesses(), 0..6_u8, 0..3_u8)
            .prop_map(|(guesses, how, spelled)| Step::Charge { guesses, how, spelled }),
        1 => Just(Step::Peek),
        1 => (0..COUNTERS, 1..6_u32, any::<bool>(), steps)
            .prop_map(|(at, failures, leaks, steps)| Step::Relimit { at, failures, leaks, steps }),
        1 => index().prop_map(|which| Step::Renew { which }),
        1 => (any::<bool>(), prop_oneof![Just(0_u16), 0..3000_u16])
            .prop_map(|(pardon, ago)| Step::Reset { pardon, ago }),
        8 => (index(), [0..6_u8, 0..6_u8], 0..3_u8, any::<bool>())
            .prop_map(|(which, how, spelled, sure)| Step::Settle { which, how, spelled, sure }),
        3 => (0..4000_u16).prop_map(|millis| Step::Wait { millis }),
    ]
}

fn action(how: u8, guesses: u32) -> Action {
    match how {
        0 => Action::Clear,
        1 => Action::ClearSame,
        2 => Action::Fail(guesses, Proof::NoVerdict),
        3 => Action::GiveBack,
        4 => Action::Observe,
        _ => Action::Fail(guesses, Proof::Verdict),
    }
}

fn limit(failures: u32, forget: Forget, steps: &[u16]) -> Limit {
    let steps: Vec<_> =
        steps.iter().map(|millis| Duration::from_millis((*millis).into())).collect();
    Limit {
        failures: NonZeroU32::new(failures).expect("not zero"),
        cool_off: if steps.is_empty() { CoolOff::Never } else { CoolOff::Steps(steps) },
        forget,
        forget_after: Duration::from_millis(5_000),
        forget_lockouts_after: Duration::from_millis(9_000),
        ..Limit::usual()
    }
}

/// A counter as Rust keeps it.
#[derive(Clone, Default)]
struct Counter {
    history: History,
    leases: BTreeMap<String, (Moment, u32)>,
    reset: Option<(Moment, Moment)>,
    /// The leases that ran out and were charged, and until when that is known.
    lost: BTreeMap<String, Moment>,
    /// What the step under way has to tell of it, and whether it changed what is kept.
    told: Option<(Found, u32, Began)>,
    is_changed: bool,
}

impl Counter {
    fn places(&self) -> u32 {
        self.leases.values().map(|(_, guesses)| guesses).sum()
    }

    /// It as it stands at `now`.
    fn loaded(&self, limit: &Limit, now: Moment) -> Self {
        let mut counter = Self { told: None, is_changed: false, ..self.clone() };
        let mut lost: Vec<_> = self.leases.iter().filter(|(_, (end, _))| *end <= now).collect();
        lost.sort_by_key(|(name, (end, _))| (*end, (*name).clone()));
        for (name, (end, guesses)) in lost {
            let at = (*end).max(counter.history.latest());
            counter.history = counter.history.with_lost(limit, *guesses, at);
            counter.lost.insert(name.clone(), now.after(LOST_KNOWN));
            counter.is_changed = true;
        }
        counter.leases.retain(|_, (end, _)| *end > now);
        counter.history = counter.history.aged(limit, now);
        counter
    }

    /// What is kept where this was and a step made `after` of it.
    fn kept(self, after: Self, keeps: bool, now: Moment) -> Self {
        let resets = after.reset.filter(|(_, until)| *until > now).is_some()
            || after.lost.values().any(|until| *until > now);
        if !keeps && !after.is_changed && after.leases == self.leases {
            self
        } else if after.history.is_blank() && after.places() == 0 && !resets {
            Self::default()
        } else if after.is_changed {
            after
        } else {
            Self { history: self.history, ..after }
        }
    }

    /// What was taken away then matters until then, at least.
    fn remember_reset(&mut self, at: Moment, until: Moment) {
        let before = self.reset.unwrap_or_default();
        if before.0 <= at {
            self.reset = Some((at, before.1.max(until)));
            self.is_changed = true;
        }
    }

    fn apply(&mut self, limit: &Limit, (action, spelling): (Action, Spelling), now: Moment) {
        let (mut cleared, mut began) = (0, Began::Nothing);
        match action {
            Action::Fail(guesses, proof) => {
                let failure = Failure { guesses, proof, spelling };
                if self.history.fail(limit, failure, now).locked_until.is_some() {
                    began = Began::Lockout;
                }
            }
            Action::Clear => cleared = self.history.succeed(),
            Action::ClearSame if self.history.spelling() == spelling => {
                cleared = self.history.succeed();
            }
            Action::ClearSame | Action::Observe => {}
            Action::GiveBack => return,
        }
        if cleared > 0 {
            self.remember_reset(now, now.after(limit.forget_after));
        }
        self.is_changed = true;
        let found = self.told.map_or(Found::No, |(found, ..)| found);
        self.told = Some((found, cleared, began));
    }
}

/// The counters on both sides.
struct World<'a> {
    server: &'a mut Server,
    name: String,
    limits: [Limit; COUNTERS],
    counters: [Counter; COUNTERS],
    held: Vec<(String, u32)>,
    leases: u32,
    now: Moment,
}

impl World<'_> {
    fn keys(&self) -> Vec<String> {
        (0..COUNTERS).map(|at| format!("{{{}}}:{at}", self.name)).collect()
    }

    /// Runs a script whose arguments are these and, for each counter, its limit and `own`.
    fn run(
        &mut self,
        script: &Script,
        first: &[&str],
        own: impl Fn(usize) -> Vec<String>,
    ) -> (String, Vec<String>) {
        let counts_changes = [ADMIT.name(), PEEK.name()].contains(&script.name());
        let changes = counts_changes.then(|| format!("{{{}}}:v", self.name));
        let keys: Vec<String> = changes.into_iter().chain(self.keys()).collect();
        let mut arguments = vec![self.now.0.to_string()];
        arguments.extend(first.iter().map(|word| (*word).to_owned()));
        for (at, limit) in self.limits.iter().enumerate() {
            if script.name() != RENEW.name() {
                arguments.push(limit_text(limit));
            }
            arguments.extend(own(at));
        }
        self.server.run(script, &keys, &arguments)
    }

    fn loaded(&self) -> [Counter; COUNTERS] {
        std::array::from_fn(|at| self.counters[at].loaded(&self.limits[at], self.now))
    }

    /// What was told is what is so; what the step changed is kept.
    fn conclude(&mut self, told: &[String], loaded: [Counter; COUNTERS], keeps: bool) {
        for (at, counter) in loaded.into_iter().enumerate() {
            let (found, cleared, began) = counter.told.unwrap_or((Found::No, 0, Began::Nothing));
            let (places, history) = (counter.places(), counter.history);
            let expected = Told { places, found, cleared, began, history };
            assert_eq!(Told::read(&told[at], self.now), Some(expected), "counter {at}");
            let before = std::mem::take(&mut self.counters[at]);
            self.counters[at] = before.kept(counter, keeps, self.now);
        }
    }

    fn judged(&self, counters: &[Counter; COUNTERS], guesses: u32) -> &'static str {
        let rooms = counters.iter().zip(&self.limits);
        let rooms: Vec<Room> = rooms.map(|(c, l)| c.history.room(l, c.places(), guesses)).collect();
        if rooms.iter().any(|room| matches!(room, Room::Locked(_))) {
            "locked"
        } else if rooms.contains(&Room::TooMany) {
            "many"
        } else if rooms.contains(&Room::Full) {
            "full"
        } else {
            "in"
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Admit { guesses, counts } => self.admit(guesses, counts),
            Step::Charge { guesses, how, spelled } => {
                self.charge(guesses, action(how, guesses), spelling_of(spelled));
            }
            Step::Peek => {
                let (what, told) = self.run(&PEEK, &["0"], |_| Vec::new());
                assert_eq!(what, "seen");
                let (before, loaded) = (self.counters.clone(), self.loaded());
                self.conclude(&told, loaded, false);
                self.counters = before;
            }
            Step::Relimit { at, failures, leaks, steps } => {
                let forget = if leaks { Forget::Leaky } else { Forget::Together };
                self.limits[at] = limit(failures, forget, &steps);
            }
            Step::Renew { which } if !self.held.is_empty() => {
                let (name, _) = self.held[which.index(self.held.len())].clone();
                self.renew(&name);
            }
            Step::Reset { pardon, ago } => self.reset(pardon, ago),
            Step::Settle { which, how, spelled, sure } if !self.held.is_empty() => {
                let held = self.held.remove(which.index(self.held.len()));
                let actions = how.map(|how| action(how, held.1));
                self.settle(&held.0, actions, spelling_of(spelled), sure);
                if !sure {
                    self.settle(&held.0, actions, spelling_of(spelled), false);
                }
            }
            Step::Renew { .. } | Step::Settle { .. } => {}
            Step::Wait { millis } => {
                self.now = self.now.after(Duration::from_millis(millis.into()))
            }
        }
    }

    fn renew(&mut self, name: &str) {
        let (_, known) = self.run(&RENEW, &[name, &TTL.to_string()], |_| vec!["9000".to_owned()]);
        for (counter, known) in self.counters.iter_mut().zip(known) {
            let lease = counter.leases.get_mut(name);
            assert_eq!(known == "1", lease.is_some());
            if let Some((end, _)) = lease {
                *end = self.now.after(Duration::from_millis(TTL));
            }
        }
    }

    fn admit(&mut self, guesses: u32, counts: bool) {
        self.leases += 1;
        let name = format!("l:{:04}", self.leases);
        let (counting, ttl) = (if counts { "c" } else { "-" }, TTL.to_string());
        let number = guesses.to_string();
        let first = ["0", "0", &number, &name, &ttl, counting, "about"];
        let (what, told) = self.run(&ADMIT, &first, |at| vec![format!("name {at}")]);
        let mut loaded = self.loaded();
        assert_eq!(what, self.judged(&loaded, guesses));
        for (counter, limit) in loaded.iter_mut().zip(&self.limits) {
            if what == "in" {
                let end = self.now.after(Duration::from_millis(TTL));
                counter.leases.insert(name.clone(), (end, guesses));
            } else if what == "locked" && counts && counter.history.is_locked() {
                counter.history.refuse(limit, guesses, self.now);
                counter.is_changed = true;
            }
        }
        if what == "in" {
            self.held.push((name, guesses));
        }
        self.conclude(&told, loaded, false);
    }

    fn charge(&mut self, guesses: u32, action: Action, spelled: Spelling) {
        let (number, text) = (guesses.to_string(), spelling(spelled));
        let own = |at| vec![action.text(), text.clone(), format!("name {at}")];
        let (what, told) = self.run(&CHARGE, &["0", &number, "about"], own);
        let mut loaded = self.loaded();
        let judged = self.judged(&loaded, guesses);
        assert_eq!(what, if judged == "full" { "in" } else { judged });
        let is_charged = what == "in" && action != Action::GiveBack;
        for (counter, limit) in loaded.iter_mut().zip(&self.limits) {
            if is_charged {
                counter.apply(limit, (action, spelled), self.now);
            }
        }
        self.conclude(&told, loaded, is_charged);
    }

    fn settle(&mut self, name: &str, actions: [Action; COUNTERS], spelled: Spelling, sure: bool) {
        let text = spelling(spelled);
        let own = |at: usize| vec![actions[at].text(), text.clone()];
        let (what, told) =
            self.run(&SETTLE, &[name, if sure { "sure" } else { "-" }, "0", "0"], own);
        assert_eq!(what, "settled");
        let mut loaded = self.loaded();
        for (at, counter) in loaded.iter_mut().enumerate() {
            let is_lost = counter.lost.contains_key(name);
            let is_there = counter.leases.remove(name).is_some();
            counter.told = is_there.then_some((Found::Yes, 0, Began::Nothing));
            if is_there || sure && !is_lost {
                counter.apply(&self.limits[at], (actions[at], spelled), self.now);
            }
        }
        self.conclude(&told, loaded, false);
    }

    fn reset(&mut self, pardon: bool, ago: u16) {
        let what = if pardon { "pardon" } else { "all" };
        let (_, told) = self.run(&RESET, &[&ago.to_string(), what], |_| Vec::new());
        let meant = Moment(self.now.0 - u64::from(ago));
        let mut loaded = self.loaded();
        for (counter, limit) in loaded.iter_mut().zip(&self.limits) {
            let is_older = counter.history.latest() <= meant;
            if is_older && pardon {
                let is_found = counter.history.pardon(limit) > 0;
                counter.told = is_found.then_some((Found::Yes, 0, Began::Nothing));
                counter.is_changed |= is_found;
            } else if is_older {
                let is_found = !counter.history.is_blank();
                counter.told = is_found.then_some((Found::Yes, 0, Began::Nothing));
                counter.history = History::default();
                counter.is_changed = true;
            }
            if !pardon {
                counter.remember_reset(meant, self.now.after(matters(limit)));
            }
        }
        self.conclude(&told, loaded, false);
    }
}

fn matters(limit: &Limit) -> Duration {
    let longest = match &limit.cool_off {
        CoolOff::Never => return Duration::from_hours(30 * 24),
        CoolOff::Steps(steps) => steps.iter().max().copied().expect("a step"),
    };
    limit.forget_after.max(longest) + limit.forget_lockouts_after
}

fn spelling_of(spelled: u8) -> Spelling {
    match spelled {
        0 => Spelling::Unknown,
        number => Spelling::One(u64::MAX - u64::from(number)),
    }
}

/// One server for all cases, which ends with the test.
#[test]
fn the_scripts_count_as_the_policy_does() {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    let cases = ("[a-z]{16}", prop::collection::vec(step(), 1..80));
    let played = TestRunner::new(config).run(&cases, |(name, steps)| {
        let mut world = World {
            server: &mut server.borrow_mut(),
            name,
            limits: [
                limit(3, Forget::Together, &[2_000, 6_000]),
                limit(4, Forget::Leaky, &[3_000]),
            ],
            counters: Default::default(),
            held: Vec::new(),
            leases: 0,
            now: Moment(1_000_000),
        };
        steps.into_iter().for_each(|step| world.apply(step));
        Ok(())
    });
    played.unwrap_or_else(|wrong| panic!("{wrong}"));
}
