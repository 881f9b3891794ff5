//! Events are posted, one after the other, to a server that may be slow, wrong or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::deliveries::{Delivery, count};
use super::dropped::{self, Outlet};
use super::queue::Line;
use super::settings::Webhook;
use super::sign::signature;
use crate::clock::Clock;
use crate::log::line::write_time;
use crate::upstream::UpstreamError;
use crate::upstream::once::ask;

/// How long it waits after the first failure; twice as long after each one more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A webhook at work.
#[derive(Debug)]
pub struct Poster {
    /// What the operator says of it, which may change.
    pub hook: Arc<ArcSwap<Webhook>>,
    /// What it is to post.
    pub events: mpsc::Receiver<Line>,
    /// How many did not fit.
    pub dropped: Arc<AtomicU64>,
    /// How many it has not posted or given up.
    pub waiting: Arc<AtomicU64>,
    /// Whether the process is about to end, so that nothing is tried again.
    pub closing: watch::Receiver<bool>,
}

/// What came of posting.
enum Answered {
    Delivered,
    /// It is of no use to try again.
    Refused(String),
    /// It may work later, not before that time.
    Later(String, Option<Duration>),
}

/// An event on its way.
struct Message {
    id: String,
    body: Bytes,
}

impl Poster {
    /// Posts events until no more come.
    pub async fn run(mut self) {
        let mut is_failing = false;
        while let Some(line) = self.events.recv().await {
            let message = Message::new(&line);
            let delivered = self.deliver(&message, &mut is_failing).await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let name = self.hook.load().name.clone();
            if is_failing && delivered == Delivery::Delivered {
                is_failing = false;
                tracing::info!(event = "webhook_recovered", webhook = &*name);
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let (outlet, count) = (Outlet::Webhook.name(), dropped);
                tracing::warn!(event = "events_dropped", outlet, webhook = &*name, count);
            }
        }
    }

    /// Tries until it is delivered or there is no more use in it.
    async fn deliver(&mut self, message: &Message, is_failing: &mut bool) -> Delivery {
        let clock = Clock::system();
        let begun = clock.now();
        let mut pause = FIRST_PAUSE;
        loop {
            let hook = self.hook.load_full();
            let (why, wanted) = match post(&hook, message, &clock).await {
                Answered::Delivered => {
                    count(Delivery::Delivered);
                    return Delivery::Delivered;
                }
                Answered::Refused(why) => return abandon(&hook, &why),
                Answered::Later(why, wanted) => (why, wanted),
            };
            count(Delivery::Failed);
            if !*is_failing {
                *is_failing = true;
                tracing::warn!(event = "webhook_failed", webhook = &*hook.name, reason = why);
            }
            // a server that says 0 does not know how many ask it
            let wait = wanted.unwrap_or_default().max(jittered(pause));
            let waited = clock.now().since(begun);
            if *self.closing.borrow() || waited.saturating_add(wait) > hook.retry_for {
                return abandon(&hook, &why);
            }
            // the last try is when the process is about to end
            drop(timeout(wait, self.closing.wait_for(|closing| *closing)).await);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// This one will not be delivered.
fn abandon(hook: &Webhook, why: &str) -> Delivery {
    count(Delivery::Abandoned);
    dropped::count(Outlet::Webhook, 1);
    tracing::warn!(event = "webhook_abandoned", webhook = &*hook.name, reason = why);
    Delivery::Abandoned
}

async fn post(hook: &Webhook, message: &Message, clock: &Clock) -> Answered {
    let answer = match timeout(hook.timeout, ask(&hook.server, request(hook, message, clock))).await
    {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Answered::Later(in_words(&error), None),
        Err(_) => return Answered::Later("no answer came in time".to_owned(), None),
    };
    let status = answer.status();
    let why = format!("the answer was {status}");
    let may_do_later = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
            .contains(&status);
    if status.is_success() {
        Answered::Delivered
    } else if may_do_later {
        Answered::Later(why, retry_after(answer.headers()))
    } else {
        // a redirect, too: what is signed for one place is not for another
        Answered::Refused(why)
    }
}

/// Why there is no answer, as far as it is the server of a webhook.
fn in_words(error: &UpstreamError) -> String {
    error.to_string().replace("the upstream", "the server").replace("`tls.ca`", "`ca`")
}

fn request(hook: &Webhook, message: &Message, clock: &Clock) -> Request<Bytes> {
    let seconds = clock.wall_now().as_secs();
    let signed = signature(&hook.secret, &message.id, seconds, &message.body);
    let mut request = Request::new(message.body.clone());
    *request.method_mut() = Method::POST;
    request.uri_mut().clone_from(&hook.target);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let agent = concat!("loginward/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert("webhook-timestamp", HeaderValue::from(seconds));
    let mut insert = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    insert(HOST.as_str(), &hook.host);
    insert("webhook-id", &message.id);
    insert("webhook-signature", &signed);
    request
}

/// The seconds that a server wants to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Between half of it and all of it, so that not all come at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // without random numbers, all of it
    _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    pause.saturating_sub(pause * u32::from(byte) / 512)
}

impl Message {
    fn new(line: &Line) -> Self {
        let mut random = [0; 16];
        // a guard does not start where there are no random numbers
        _ = getrandom::fill(&mut random);
        let id = format!("msg_{}", URL_SAFE_NO_PAD.encode(random));
        let mut body = format!("{{\"type\":\"{}\",\"timestamp\":\"", line.name);
        write_time(&mut body, line.wall);
        body.push_str("\",\"data\":");
        body.push_str(line.text.trim_end());
        body.push('}');
        Self { id, body: body.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_of_it_and_all_of_it() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(8));
            assert!((4..=8).contains(&pause.as_secs()), "{pause:?}");
        }
    }
}
