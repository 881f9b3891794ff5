//! An event that is traced again as it was, for a fraction of what packing it anew would cost.

use tracing::{Metadata, dispatcher};

use super::pack::Packed;
use super::{Logger, PACKED};

/// An event as it was traced.
#[derive(Debug)]
pub struct Traced {
    /// What was traced and the hash of its line; `None` where nobody wanted it.
    event: Option<(&'static Metadata<'static>, u64, Packed)>,
    /// How often it had been said by then what is wanted of all that is traced.
    configured: u64,
}

/// Whether an event was traced again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Retraced {
    /// It was, as far as anybody wants it.
    Yes,
    /// What is wanted may have changed since: it has to be traced anew.
    Stale,
}

impl Traced {
    /// What `trace` traces, which it does in any case: the last event, if it traces several.
    /// `None` where somebody else than our own logger takes what is traced.
    pub fn by(trace: impl FnOnce()) -> Option<Self> {
        // asked before, so that a change meanwhile makes it stale
        let configured = with_logger(Logger::configured);
        PACKED.with_borrow_mut(|packing| packing.latest = None);
        trace();
        let configured = configured?;
        let event = PACKED.with_borrow_mut(|packing| {
            let (kind, same) = packing.latest.take()?;
            Some((kind, same, Packed::of(packing.packed.fields())))
        });
        Some(Self { event, configured })
    }

    /// Traces it once more, as of now.
    pub fn again(&self) -> Retraced {
        let take = |logger: &Logger| {
            let is_fresh = logger.configured() == self.configured;
            if is_fresh && let Some((kind, same, packed)) = &self.event {
                logger.take(*same, kind, packed.fields());
            }
            is_fresh
        };
        if with_logger(take) == Some(true) { Retraced::Yes } else { Retraced::Stale }
    }
}

/// Does something with whoever takes what is traced, if that is ours.
fn with_logger<T>(with: impl Fn(&Logger) -> T) -> Option<T> {
    dispatcher::get_default(|dispatch| dispatch.downcast_ref::<Logger>().map(&with))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Condvar, Mutex};

    use siphasher::sip::SipHasher13;
    use tracing::subscriber::with_default;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{LogFormat, Settings};
    use crate::log::{Events, Hub, Shared, Wanted};
    use crate::outlets::Outlets;
    use crate::store::memory::lock;

    fn settings(level: &str) -> Settings {
        let yaml = format!(
            "listen: \"127.0.0.1:0\"\nadmin: none\nlog: {{ level: {level} }}\nsites:\n  - \
             {{ upstream: http://127.0.0.1:1 }}\n"
        );
        Settings::parse(&yaml, Path::new("/"), "test").unwrap_or_else(|e| panic!("{e}")).0
    }

    /// A logger nobody else has, and where its events wait.
    fn logger() -> (Logger, Hub) {
        let clock = Clock::system();
        let wanted = Wanted { level: tracing::Level::INFO, events: Events::Untold };
        let hub = Hub(Arc::new(Shared {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            format: LogFormat::Text,
            wanted: Mutex::new(wanted),
            configured: 0.into(),
            outlets: Outlets::new(clock.wall_now()),
        }));
        let hashing = SipHasher13::new_with_key(&[7; 16]);
        (Logger { clock, hashing, hub: hub.clone() }, hub)
    }

    /// What waits to be written: each line, and how often it came again.
    fn lines(hub: &Hub) -> Vec<(String, u64)> {
        let mut waiting = lock(&hub.0.waiting);
        waiting.buffer.flush_repeated();
        let entries = waiting.buffer.batch.entries();
        entries.map(|entry| (entry.packed.line.to_owned(), entry.repeated)).collect()
    }

    #[test]
    fn what_is_traced_again_is_the_same_line_once_more() {
        let (logger, hub) = logger();
        with_default(logger, || {
            let traced = Traced::by(|| {
                tracing::info!(event = "locked_out");
                tracing::info!(event = "refused", client = "192.0.2.1", status = 403_u64);
            });
            let traced = traced.expect("our own logger takes it");
            tracing::info!(event = "listening");
            assert_eq!((traced.again(), traced.again()), (Retraced::Yes, Retraced::Yes));
        });
        let refused = " level=info event=refused client=192.0.2.1 status=403".to_owned();
        let lines = lines(&hub);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!((&lines[1], &lines[3]), (&(refused.clone(), 0), &(refused, 2)));
    }

    #[test]
    fn what_nobody_wanted_is_traced_anew_once_somebody_may_want_it() {
        let (logger, hub) = logger();
        hub.configure(&settings("error"));
        let trace = || tracing::info!(event = "refused");
        with_default(logger, || {
            let traced = Traced::by(trace).expect("our own logger takes it");
            assert_eq!((traced.again(), lines(&hub).len()), (Retraced::Yes, 0));
            hub.configure(&settings("info"));
            assert_eq!((traced.again(), lines(&hub).len()), (Retraced::Stale, 0));
            let traced = Traced::by(trace).expect("our own logger takes it");
            assert_eq!(traced.again(), Retraced::Yes);
            assert_eq!(lines(&hub).last().map(|(_, times)| *times), Some(1));
            hub.configure(&settings("error"));
            assert_eq!(traced.again(), Retraced::Stale);
        });
    }

    #[test]
    fn where_somebody_else_takes_what_is_traced_it_is_traced_all_the_same() {
        let mut count = 0;
        let traced = Traced::by(|| count += 1);
        assert!((traced.is_none(), count) == (true, 1));
    }
}
