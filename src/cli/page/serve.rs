//! What the page's own server answers: the page's files and what the guard says, to its session.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::link::Link;
use super::pass::{Answer, Guard};
use crate::admin::door::{Door, Hosts};
use crate::admin::page::{self, protect};
use crate::clock::{Clock, Moment};

/// No request's head takes longer.
const HEAD_TIME: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";

/// What is served.
#[derive(Debug)]
pub struct Served {
    /// Who gets it.
    pub link: Link,
    guard: Guard,
    door: Door,
    clock: Clock,
    asked: Cell<Moment>,
}

impl Served {
    /// The page of `guard`, for whoever has `link`.
    #[must_use]
    pub fn new(link: Link, guard: Guard, clock: Clock) -> Self {
        // what a page of somebody else's sends is refused as it is at the guard itself
        let door = Door { hosts: Hosts::At(link.address()), token: None };
        let asked = Cell::new(clock.now());
        Self { link, guard, door, clock, asked }
    }

    /// Waits until nobody has asked for so long.
    pub async fn idle_for(&self, time: Duration) {
        loop {
            let end = self.asked.get().after(time);
            if self.clock.now() >= end {
                return;
            }
            self.clock.sleep_until(end).await;
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Err(problem) = self.door.check(request.uri(), request.headers()) {
            return told(problem.status, &problem.detail);
        }
        let path = request.uri().path().to_owned();
        let Some(below) = self.link.below(&path) else {
            return told(StatusCode::NOT_FOUND, "Open the link that `loginward page` has printed.");
        };
        let is_ours = self.link.admits(request.headers());
        if let Some(key) = Link::key(request.uri().query()).filter(|_| below == "/") {
            return self.enter(request.method(), key, is_ours);
        }
        if !is_ours {
            return told(StatusCode::FORBIDDEN, USED);
        }
        self.asked.set(self.clock.now());
        match page::find(below) {
            Some(file) if [Method::GET, Method::HEAD].contains(request.method()) => shown(file),
            Some(_) => told(StatusCode::METHOD_NOT_ALLOWED, "only GET"),
            None if below.starts_with("/v1/") => {
                let below = below.to_owned();
                self.guard.pass(request, &below).await
            }
            None => told(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    /// The link was opened.
    fn enter(&self, method: &Method, key: &str, is_ours: bool) -> Answer {
        if *method != Method::GET {
            return told(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        }
        let cookie = self.link.exchange(key);
        if cookie.is_none() && !is_ours {
            return told(StatusCode::FORBIDDEN, USED);
        }
        let mut answer = told(StatusCode::SEE_OTHER, "This way.");
        let headers = answer.headers_mut();
        if let Ok(home) = HeaderValue::from_str(&self.link.home()) {
            headers.insert(LOCATION, home);
        }
        if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
            headers.insert(SET_COOKIE, cookie);
        }
        answer
    }
}

const USED: &str = "This link has been used already, or it was never one. \
    Run `loginward page` again: it prints another.";

/// Answers whoever connects to `listener`, for as long as it is polled.
pub async fn serve(listener: TcpListener, served: Rc<Served>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // out of file descriptors, most likely: others must end first
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let served = Rc::clone(&served);
        let service = service_fn(move |request| {
            let served = Rc::clone(&served);
            async move { Ok::<_, Infallible>(served.answer(request).await) }
        });
        let mut builder = Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        tokio::task::spawn_local(async move {
            // whoever asked has gone; there is nothing to do about it
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

fn shown(file: &page::File) -> Answer {
    whole(StatusCode::OK, file.kind, file.bytes())
}

/// An answer in words.
pub(super) fn told(status: StatusCode, words: &str) -> Answer {
    whole(status, TEXT, format!("{words}\n").into())
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let body = Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    protect(answer.headers_mut(), kind);
    answer
}
