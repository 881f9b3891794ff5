//! Events as they come, for whoever follows: server-sent events (HTML Living Standard, section 9.2).
//!
//! Each has the event's number as `id` and its JSON as `data`. Whoever is too slow loses events and
//! is told how many, in an event `lost`. A comment comes now and then where nothing else does.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use super::body::AdminBody;
use super::reply::{Problem, Reply};
use crate::events;
use crate::outlets::dropped::{self, Outlet};
use crate::outlets::live::{Told, Wanted};
use crate::outlets::{Outlets, latest};

/// Events, to be asked for with GET.
pub const EVENTS: &str = "/v1/events";
/// How often somebody hears something.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How much goes out at once.
const PIECE: usize = 64 * 1024;
/// Where a browser left off.
const LAST_EVENT_ID: &str = "last-event-id";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    wanted: Wanted,
    /// How many of the latest.
    last: usize,
    then: Then,
}

/// What follows the latest events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    End,
    Follow,
}

/// Answers with events: the latest, and, unless it is asked for `follow=false`, those to come.
/// What is asked for is in `query`; `name`, `site`, `client` and `username` may be lists with
/// commas, `last` says how many of the latest events.
#[must_use]
pub fn answer(query: &str, headers: &HeaderMap, outlets: &Outlets) -> Reply {
    let asked = match asked(query) {
        Ok(asked) => asked,
        Err(why) => return Problem::bad(why).reply(),
    };
    let left_off = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let (last, after) = match left_off.and_then(|id| number(id, outlets)) {
        Some(number) => (latest::MOST, number),
        None => (asked.last, 0),
    };
    // those that fit are found among all that there are
    let most = if last == 0 { 0 } else { latest::MOST };
    let Some(following) = outlets.follow((most, after)) else {
        let why = "too many follow already";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).reply();
    };
    let mut first = String::from("retry: 2000\n\n");
    let fitting = following.latest.iter().filter(|told| asked.wanted.fits(told));
    let fitting: Vec<&Told> = fitting.collect();
    for told in fitting.iter().skip(fitting.len().saturating_sub(last)) {
        write(&mut first, told, outlets.began());
    }
    let known = following.latest.last().map_or(after, Told::number);
    let (sender, pieces) = mpsc::channel(1);
    // there is room for it
    drop(sender.try_send(Bytes::from(first)));
    if asked.then == Then::Follow {
        let follower = Follower { wanted: asked.wanted, known, began: outlets.began(), sender };
        tokio::task::spawn_local(follower.follow(following.coming));
    }
    let mut response = Response::new(AdminBody::Pieces(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Somebody who follows.
struct Follower {
    wanted: Wanted,
    /// The number of the last event that he may have been told of.
    known: u64,
    began: u64,
    sender: mpsc::Sender<Bytes>,
}

impl Follower {
    /// Passes events on until he has gone.
    async fn follow(self, mut coming: broadcast::Receiver<Told>) {
        let mut beat = tokio::time::interval(HEARTBEAT);
        loop {
            let mut piece = String::new();
            tokio::select! {
                next = coming.recv() => match next {
                    Ok(told) => self.add(&mut piece, &told),
                    Err(RecvError::Lagged(events)) => lost(&mut piece, events),
                    Err(RecvError::Closed) => return,
                },
                _ = beat.tick() => piece.push_str(":\n\n"),
                () = self.sender.closed() => return,
            }
            // what has come meanwhile goes out together
            while piece.len() < PIECE {
                match coming.try_recv() {
                    Ok(told) => self.add(&mut piece, &told),
                    Err(TryRecvError::Lagged(events)) => lost(&mut piece, events),
                    Err(TryRecvError::Closed | TryRecvError::Empty) => break,
                }
            }
            if !piece.is_empty() && self.sender.send(Bytes::from(piece)).await.is_err() {
                return;
            }
        }
    }

    fn add(&self, piece: &mut String, told: &Told) {
        if told.number() > self.known && self.wanted.fits(told) {
            write(piece, told, self.began);
        }
    }
}

fn write(out: &mut String, told: &Told, began: u64) {
    // the JSON is one line and ends with it
    _ = write!(out, "id: {began:x}-{}\ndata: {}\n", told.number(), told.line());
}

fn lost(out: &mut String, events: u64) {
    dropped::count(Outlet::Stream, events);
    _ = write!(out, "event: lost\ndata: {{\"lost\":{events}}}\n\n");
}

/// The number in an `id` of this process.
fn number(id: &str, outlets: &Outlets) -> Option<u64> {
    let (began, number) = id.split_once('-')?;
    let is_own = u64::from_str_radix(began, 16).ok()? == outlets.began();
    number.parse().ok().filter(|_| is_own)
}

fn asked(query: &str) -> Result<Asked, String> {
    let mut asked = Asked { wanted: Wanted::default(), last: 0, then: Then::Follow };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8_lossy();
        let wanted = &mut asked.wanted;
        let list = match key {
            "name" => &mut wanted.names,
            "site" => &mut wanted.sites,
            "client" => &mut wanted.clients,
            "username" => &mut wanted.usernames,
            "last" => {
                let last = value.parse::<usize>().map_err(|_| format!("`{key}` is a number"))?;
                asked.last = last.min(latest::MOST);
                continue;
            }
            "follow" => {
                asked.then = match &*value {
                    "true" => Then::Follow,
                    "false" => Then::End,
                    _ => return Err("`follow` is true or false".to_owned()),
                };
                continue;
            }
            _ => {
                return Err(format!(
                    "`{key}` is none of name, site, client, username, last, follow"
                ));
            }
        };
        list.extend(value.split(',').filter(|part| !part.is_empty()).map(str::to_owned));
    }
    match asked.wanted.names.iter().find(|name| !events::is_known(name)) {
        Some(unknown) => Err(format!("there is no event `{unknown}`")),
        None => Ok(asked),
    }
}
