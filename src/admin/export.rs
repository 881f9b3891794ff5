//! Telling everything that counts, line by line, for another guard: attempts go on meanwhile.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use super::Admin;
use super::body::AdminBody;
use super::caller::Caller;
use super::counters::wall;
use super::moved::{Counter, End, Header, KIND, Line, Lock, Lost, Spelled, Until, VERSION, Who};
use super::reply::Reply;
use crate::amount;
use crate::clock::{Moment, millis};
use crate::events::{self, About, Details, Name};
use crate::guard::Shared;
use crate::guard::plan::Plan;
use crate::policy::account::{Account, Charset, accounts};
use crate::policy::key::{Keyer, ScopeKind};
use crate::policy::lockout::{Parameter, Spelling};
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::moved::Moving;
use crate::store::register::Registered;
use crate::store::select::{Selector, shown_network};
use crate::store::slot::Slot;
use crate::store::whose::Named;

/// How much goes out at once, so that no more is kept for whoever takes it slowly.
const PIECE: usize = 64 * 1024;

/// The answer to whoever asks for everything.
#[must_use]
pub fn export(caller: Caller, admin: &Rc<Admin>) -> Reply {
    let (sender, pieces) = mpsc::channel(1);
    let admin = Rc::clone(admin);
    tokio::task::spawn_local(async move {
        let shared = admin.reloader.shared();
        if let Some(End { counters, locks }) = Telling::new(shared, sender).all(shared).await {
            let counted = (amount::counters(counters), amount::locks_by_hand(locks));
            let reason = format!("{caller}, {}, {}", counted.0, counted.1);
            let details = Details { reason: Some(&reason), ..Details::default() };
            events::report(Name::CountersExported, About::default(), details);
        }
    });
    let mut response = Response::new(AdminBody::Pieces(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is told, and to whom.
struct Telling {
    plan: Arc<Plan>,
    keyer: Keyer,
    zero: Moment,
    piece: String,
    sender: mpsc::Sender<Bytes>,
}

impl Telling {
    fn new(shared: &Shared, sender: mpsc::Sender<Bytes>) -> Self {
        Self {
            plan: shared.plans.latest(),
            keyer: *shared.store.keyer(),
            zero: shared.store.clock().now(),
            piece: String::new(),
            sender,
        }
    }

    /// Tells everything; how much, unless whoever asked has gone.
    async fn all(mut self, shared: &Shared) -> Option<End> {
        let store = &shared.store;
        store.refresh().await;
        let at = store.clock().wall(self.zero);
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { version: VERSION, program, at: wall(at), at_ms: millis(at) };
        self.line(&Line::LoginwardExport(header)).await?;
        let mut end = End { counters: 0, locks: 0 };
        for part in Store::parts() {
            for moving in store.moving(part) {
                let counter = self.counter(&moving);
                self.line(&Line::Counter(Box::new(counter))).await?;
                end.counters += 1;
            }
            // whatever else there is to do, such as to end
            tokio::task::yield_now().await;
        }
        let mut told = HashSet::new();
        for (what, hand) in store.hand_locks() {
            let lock = self.lock(&what, &hand, store);
            let line = serde_json::to_string(&lock).unwrap_or_default();
            // a username has a lock for each account that somebody may take it for
            if told.insert(line) {
                self.line(&Line::Lock(Box::new(lock))).await?;
                end.locks += 1;
            }
        }
        self.line(&Line::End(end)).await?;
        self.send().await?;
        Some(end)
    }

    async fn line(&mut self, line: &Line) -> Option<()> {
        self.piece.push_str(&serde_json::to_string(line).ok()?);
        self.piece.push('\n');
        if self.piece.len() < PIECE { Some(()) } else { self.send().await }
    }

    async fn send(&mut self) -> Option<()> {
        let piece = std::mem::take(&mut self.piece);
        self.sender.send(Bytes::from(piece)).await.ok()
    }

    fn counter(&self, Moving { slot, history, registered }: &Moving) -> Counter {
        let shown = slot.whose().candidate.and_then(|candidate| candidate.shown);
        let spelling = match history.spelling() {
            Spelling::Unknown => None,
            Spelling::Mixed => Some(Spelled::Mixed),
            Spelling::One(hash) => {
                let is_shown = |shown: &str| self.keyer.spelling(shown.as_bytes()) == hash;
                let is_shown = shown.is_some_and(is_shown);
                Some(if is_shown { Spelled::AsShown } else { Spelled::Another })
            }
        };
        Counter::of(self.who(slot, registered), *history, spelling, self.zero)
    }

    fn who(&self, slot: &Slot, registered: &Registered) -> Who {
        let (name, whose) = (&registered.name, slot.whose());
        let mut who = Who {
            site: name.site.to_string(),
            login: name.login.as_deref().map(str::to_owned),
            limit: name.limit.to_string(),
            uncounted: name.kind == ScopeKind::Uncounted,
            ..Who::default()
        };
        for parameter in &registered.limit.by {
            let value = match parameter {
                Parameter::Username => {
                    (who.account, who.lost) = self.account(whose.candidate, &name.site);
                    whose.candidate.and_then(|candidate| candidate.shown).map(str::to_owned)
                }
                Parameter::IpAddress => Some(shown_network(whose.address)),
                Parameter::IpNetwork => Some(shown_network(whose.network)),
                Parameter::UserAgent => whose.user_agent.map(str::to_owned),
            };
            who.parameters.insert(parameter.name().to_owned(), value);
        }
        who
    }

    /// The account's normal form, where what is shown does not tell it, and why nobody can tell it.
    fn account(&self, candidate: Option<Named<'_>>, site: &str) -> (Option<String>, Option<Lost>) {
        let Some((candidate, shown)) = candidate.and_then(|it| Some((it, it.shown?))) else {
            return (None, Some(Lost::Session));
        };
        let is_it = |account: &Account| self.keyer.account(account) == candidate.account;
        if let Some(name) = candidate.name {
            return (Some(name.to_owned()), None);
        }
        if Account::new(shown).as_ref().is_some_and(is_it) {
            return (None, None);
        }
        let sites = self.plan.sites().iter().filter(|own| &*own.site.name == site);
        let mut readings = sites.flat_map(|site| site.rules()).flat_map(|rule| {
            let charsets = [Charset::Utf8, Charset::Western].into_iter();
            charsets.flat_map(|set| accounts(shown.as_bytes(), set, &rule.rule.naming))
        });
        match readings.find(is_it) {
            Some(account) => (Some(account.as_str().to_owned()), None),
            None => (None, Some(Lost::Name)),
        }
    }

    fn lock(&self, what: &Selector, hand: &HandLock, store: &Store) -> Lock {
        let counter = what.counter.map(|key| store.counter(key));
        let lost = match (&counter, what.account, &hand.username) {
            (Some(None), ..) => Some(Lost::Counter),
            (_, Some(_), None) => Some(Lost::Name),
            _ => None,
        };
        Lock {
            site: what.site.as_deref().map(str::to_owned),
            network: what.network.map(shown_network),
            username: hand.username.as_deref().map(str::to_owned),
            counter: counter.flatten().map(|(slot, registered)| self.who(&slot, &registered)),
            lost,
            until_ms: Until::of(hand.until, self.zero),
            reason: hand.reason.as_deref().map(str::to_owned),
        }
    }
}
