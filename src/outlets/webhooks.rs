//! All webhooks: a thread that posts for all of them, and a bounded queue for each.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as sync;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::dropped::{self, Outlet};
use super::queue::Line;
use super::settings::Webhook;
use super::webhook::Poster;
use crate::store::memory::lock;

/// So many events may wait for each.
const MOST_WAITING: usize = 1000;
/// How long the end of the process may be kept waiting.
const LAST: Duration = Duration::from_secs(2);

/// All webhooks.
#[derive(Debug)]
pub struct Webhooks {
    state: Mutex<State>,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    hooks: Vec<Hook>,
    /// What waits for those that a reload took away.
    gone: Vec<Behind>,
    thread: Option<Thread>,
}

/// A webhook, as whoever tells it knows it.
#[derive(Debug)]
struct Hook {
    settings: Arc<ArcSwap<Webhook>>,
    events: mpsc::Sender<Line>,
    behind: Behind,
}

/// What a webhook has not got.
#[derive(Clone, Debug, Default)]
struct Behind {
    name: Box<str>,
    /// How many did not fit, as far as nobody has been told.
    dropped: Arc<AtomicU64>,
    /// How many wait, or are being posted.
    waiting: Arc<AtomicU64>,
}

/// The thread that posts.
#[derive(Debug)]
struct Thread {
    begin: mpsc::UnboundedSender<Poster>,
    /// Fails once the thread has ended.
    ended: sync::Receiver<()>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { state: Mutex::default(), closing: watch::Sender::new(false) }
    }
}

impl Webhooks {
    /// These are the webhooks from now on. What waits for one whose name stays is posted as the new
    /// one says; what waits for one that goes is posted as it was.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn set(&self, wanted: &[Webhook]) -> io::Result<()> {
        let mut state = lock(&self.state);
        if wanted.is_empty() && state.thread.is_none() {
            return Ok(());
        }
        let thread = match state.thread.take() {
            Some(thread) => thread,
            None => Thread::begin()?,
        };
        let mut before = std::mem::take(&mut state.hooks);
        for webhook in wanted {
            let same = before.iter().position(|hook| hook.settings.load().name == webhook.name);
            let hook = match same.map(|at| before.swap_remove(at)) {
                Some(hook) => {
                    hook.settings.store(Arc::new(webhook.clone()));
                    hook
                }
                None => self.begin(webhook, &thread),
            };
            state.hooks.push(hook);
        }
        state.gone.extend(before.into_iter().map(|hook| hook.behind));
        state.gone.retain(|behind| behind.waiting.load(Ordering::Relaxed) > 0);
        state.thread = Some(thread);
        Ok(())
    }

    fn begin(&self, webhook: &Webhook, thread: &Thread) -> Hook {
        let (events, waiting) = mpsc::channel(MOST_WAITING);
        let settings = Arc::new(ArcSwap::from_pointee(webhook.clone()));
        let behind = Behind { name: webhook.name.clone(), ..Behind::default() };
        let poster = Poster {
            hook: Arc::clone(&settings),
            events: waiting,
            dropped: Arc::clone(&behind.dropped),
            waiting: Arc::clone(&behind.waiting),
            closing: self.closing.subscribe(),
        };
        // the thread lives as long as this end
        drop(thread.begin.send(poster));
        Hook { settings, events, behind }
    }

    /// Whether one of them wants events of that name. What happens to webhooks is told to none.
    #[must_use]
    pub fn want(&self, name: &str) -> bool {
        let is_own = name.starts_with("webhook_") || name == "events_dropped";
        !is_own && lock(&self.state).hooks.iter().any(|hook| hook.settings.load().events.has(name))
    }

    /// Has an event posted by those who want it.
    pub fn put(&self, line: &Line) {
        for hook in &lock(&self.state).hooks {
            if !hook.settings.load().events.has(&line.name) {
                continue;
            }
            hook.behind.waiting.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = hook.events.try_send(line.clone()) {
                hook.behind.waiting.fetch_sub(1, Ordering::Relaxed);
                let is_lost = matches!(error, TrySendError::Full(_));
                hook.behind.dropped.fetch_add(u64::from(is_lost), Ordering::Relaxed);
                dropped::count(Outlet::Webhook, u64::from(is_lost));
            }
        }
    }

    /// No more come; waits a moment for those that are posted, and says how many are lost.
    pub fn end(&self) {
        self.closing.send_replace(true);
        let State { hooks, mut gone, thread } = std::mem::take(&mut *lock(&self.state));
        gone.extend(hooks.into_iter().map(|hook| hook.behind));
        if let Some(Thread { begin, ended }) = thread {
            drop(begin);
            // it says nothing, and has ended when it can say nothing more
            ended.recv_timeout(LAST).unwrap_or_default();
        }
        for Behind { name, dropped, waiting } in gone {
            let waiting = waiting.swap(0, Ordering::Relaxed);
            dropped::count(Outlet::Webhook, waiting);
            let count = waiting + dropped.swap(0, Ordering::Relaxed);
            if count > 0 {
                let outlet = Outlet::Webhook.name();
                tracing::warn!(event = "events_dropped", outlet, webhook = &*name, count);
            }
        }
    }
}

impl Thread {
    fn begin() -> io::Result<Self> {
        let (begin, mut posters) = mpsc::unbounded_channel::<Poster>();
        let (end, ended) = sync::channel();
        let life = async move {
            let mut posting = JoinSet::new();
            while let Some(poster) = posters.recv().await {
                posting.spawn_local(poster.run());
            }
            while posting.join_next().await.is_some() {}
        };
        std::thread::Builder::new().name("webhooks".to_owned()).spawn(move || {
            let mut builder = Builder::new_current_thread();
            match builder.enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(life),
                Err(error) => {
                    tracing::error!(event = "webhook_failed", reason = %error);
                }
            }
            drop(end);
        })?;
        Ok(Self { begin, ended })
    }
}
