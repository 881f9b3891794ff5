//! Taking in what another guard has told: what counts more here or there is what counts.
//!
//! It is read as it comes and taken in by the hundred, so that no more is kept of it, however long
//! it is. Whatever is not taken is counted by its reason.

mod here;
mod report;

use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming as Body;
use serde_json::Value;

use self::here::{Here, Not, Why};
use self::report::Report;
use super::caller::Caller;
use super::moved::{Counter, KIND, LONGEST, Line, Lock, Reading};
use super::reply::Problem;
use crate::events::{self, About, Details, Name};
use crate::guard::Shared;
use crate::store::hand::TooMany;
use crate::store::moved::{Incoming, Taken};
use crate::store::redis::hands::Stands;

/// Whoever sends nothing for so long has gone.
const TIME: Duration = Duration::from_secs(10);
/// So many are taken in at a time.
const AT_ONCE: usize = 256;

/// Takes in what `request` brings; how much of it.
///
/// # Errors
///
/// When it cannot be understood, with what was taken before; dropping the future keeps that, too.
pub async fn import(
    request: Request<Body>,
    caller: Caller,
    shared: &Shared,
) -> Result<Value, Problem> {
    check_kind(request.headers())?;
    let mut body = Lines { body: request.into_body(), bytes: Vec::new(), start: 0 };
    let mut import = Import {
        shared,
        here: None,
        reading: Reading::default(),
        batch: Vec::new(),
        report: Report::default(),
    };
    let result = import.read(&mut body).await;
    import.take_in().await;
    let report = import.report;
    tell(&report, caller);
    let Err(problem) = result else { return Ok(report.shown()) };
    // whoever sends it hears of nothing before all is sent
    while let Ok(Some(_)) = body.piece().await {}
    let Problem { detail, .. } = &problem;
    let detail = format!("{detail}; what came before it was taken in: {report}");
    Err(Problem { detail, ..problem }.with("taken", report.shown()))
}

fn check_kind(headers: &HeaderMap) -> Result<(), Problem> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) if kind == KIND && !headers.contains_key(CONTENT_ENCODING) => Ok(()),
        _ => {
            let detail = format!("send what was exported as {KIND}, and not encoded");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

fn tell(report: &Report, caller: Caller) {
    let reason = format!("{caller}, {report}");
    let details = Details { reason: Some(&reason), ..Details::default() };
    events::report(Name::CountersImported, About::default(), details);
}

/// What is being taken in.
struct Import<'a> {
    shared: &'a Shared,
    /// What lines mean here, once the first one has come.
    here: Option<Here<'a>>,
    reading: Reading,
    batch: Vec<Incoming>,
    report: Report,
}

impl Import<'_> {
    async fn read(&mut self, lines: &mut Lines) -> Result<(), Problem> {
        while let Some(line) = lines.next().await? {
            let taken = self.reading.take(line).map_err(|wrong| Problem::bad(wrong.to_string()))?;
            self.line(taken).await?;
            if self.batch.len() >= AT_ONCE {
                self.take_in().await;
                tokio::task::yield_now().await;
            }
        }
        self.reading.end().map_err(|wrong| Problem::bad(wrong.to_string()))
    }

    async fn line(&mut self, line: Line) -> Result<(), Problem> {
        let took = match line {
            Line::Counter(counter) => self.counter(&counter),
            Line::End(_) => Ok(()),
            Line::Lock(lock) => self.lock(&lock).await,
            Line::LoginwardExport(header) => {
                let here = Here::new(self.shared, header.at_ms);
                self.report.age = here.age();
                self.here = Some(here);
                Ok(())
            }
        };
        took.map_err(|why| Problem::bad(self.reading.wrong(why).to_string()))
    }

    fn counter(&mut self, counter: &Counter) -> Result<(), String> {
        let Some(here) = &self.here else { return Ok(()) };
        match here.counters(counter) {
            Ok(found) => {
                self.report.without_spelling += u64::from(found.is_without_spelling);
                self.batch.extend(found.counters);
            }
            Err(Not::Here(why)) => self.report.counter_not_taken(why, &counter.who),
            Err(Not::Understood(why)) => return Err(why),
        }
        Ok(())
    }

    async fn lock(&mut self, lock: &Lock) -> Result<(), String> {
        let Some(here) = &self.here else { return Ok(()) };
        let (selectors, hand) = match here.lock(lock) {
            Ok(meant) => meant,
            Err(Not::Here(why)) => {
                self.report.lock_not_taken(why, lock);
                return Ok(());
            }
            Err(Not::Understood(why)) => return Err(why),
        };
        let clients = &here.plan.settings.clients;
        let how = (clients, Stands::IfLonger);
        let mut became = Ok(Taken::Known);
        for selector in selectors {
            let locked = self.shared.store.lock_everywhere(selector, hand.clone(), how).await;
            became = became.and_then(|before| {
                let (taken, reach) = locked?;
                self.report.reach = self.report.reach.and(reach);
                Ok(before.or(taken))
            });
        }
        match became {
            Ok(taken) => self.report.lock(taken),
            Err(TooMany) => self.report.lock_not_taken(Why::TooManyLocks, lock),
        }
        Ok(())
    }

    async fn take_in(&mut self) {
        let (taken, reach) = self.shared.store.take_in_everywhere(&self.batch).await;
        self.report.reach = self.report.reach.and(reach);
        taken.into_iter().for_each(|taken| self.report.counter(taken));
        self.batch.clear();
    }
}

/// The lines of a body as they come.
struct Lines {
    body: Body,
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
}

impl Lines {
    /// The next line, without its end; what has none is a line, too.
    async fn next(&mut self) -> Result<Option<&[u8]>, Problem> {
        let mut seen = self.start;
        loop {
            let rest = self.bytes.get(seen..).unwrap_or_default();
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let line = self.start..seen + length;
                self.start = line.end + 1;
                return Ok(self.bytes.get(line));
            }
            self.bytes.drain(..self.start);
            self.start = 0;
            seen = self.bytes.len();
            // of a longer one it will be said that it is too long
            if seen > LONGEST || !self.more().await? {
                self.start = seen;
                return Ok((seen > 0).then_some(&self.bytes));
            }
        }
    }

    async fn more(&mut self) -> Result<bool, Problem> {
        let Some(piece) = self.piece().await? else { return Ok(false) };
        self.bytes.extend_from_slice(&piece);
        Ok(true)
    }

    /// What comes next.
    async fn piece(&mut self) -> Result<Option<bytes::Bytes>, Problem> {
        loop {
            let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "nothing came for 10 s");
            let frame = tokio::time::timeout(TIME, self.body.frame()).await.map_err(slow)?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| Problem::bad("it was broken off"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}
