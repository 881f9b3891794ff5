//! What operators can ask a running guard: each question once, with what answers it.

use std::rc::Rc;

use http::header::{CONNECTION, HeaderValue, UPGRADE as UPGRADE_FIELD};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::caller::Caller;
use super::door::Door;
use super::follow::{self, EVENTS};
use super::guest::Guest;
use super::query::decoded;
use super::reply::{Problem, Reply, json as answer_with, text};
use super::rules::rules;
use super::sent::Sent;
use super::status::status;
use super::{
    Admin, LONGEST_HEAD, MOST_FIELDS, config, counters, export, import, locks, page, present,
    references, refused, reset,
};
use crate::config::error::{Problem as ConfigProblem, Severity};
use crate::guard::Shared;
use crate::server::impatient::Impatient;
use crate::server::reload::{ReloadError, Reloaded};

/// How the guard is, to be asked with GET.
pub const STATUS: &str = "/v1/status";
/// Hands everything over to whoever asks, to be asked with POST; see [`super::handover`].
pub const UPGRADE: &str = "/v1/upgrade";
/// What the connection becomes then.
pub const PROTOCOL: &str = "loginward-upgrade";
/// Reads the configuration again, to be asked with POST.
pub const RELOAD: &str = "/v1/reload";
/// Lists counters, to be asked with GET.
pub const COUNTERS: &str = "/v1/counters";
/// What each login rule has seen, to be asked with GET.
pub const RULES: &str = "/v1/rules";
/// What happened in the last hours, to be asked with GET.
pub const STATISTICS: &str = "/v1/statistics";

/// The configuration in force, to be asked with GET.
pub const CONFIG: &str = "/v1/config";
/// What describes all of this, to be asked with GET.
pub const OPENAPI: &str = "/openapi.json";
/// What refused a reference, to be asked with GET.
pub const REFERENCE: &str = "/v1/references/{ref}";

/// That description, which keeps to version 3.1 of its specification.
const DOCUMENT: &str = include_str!("openapi.json");

/// Tells everything that counts, for another guard; to be asked with GET.
pub const EXPORT: &str = "/v1/export";
/// Takes in what another guard has told, to be asked with POST.
pub const IMPORT: &str = "/v1/import";
/// Lists locks by hand, to be asked with GET.
pub const LOCKS: &str = "/v1/locks";
/// What is remembered of refusals, to be asked with GET.
pub const REFUSALS: &str = "/v1/refusals";
/// Takes back what counts, to be asked with POST.
pub const RESET: &str = "/v1/reset";
/// The same.
pub const UNLOCK: &str = "/v1/unlock";
/// Locks by hand, to be asked with POST.
pub const LOCK: &str = "/v1/lock";

/// Everything that can be asked: the method and the path, in which `{…}` is any one segment.
/// Whatever is not here is not there; HEAD is where GET is.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", CONFIG),
    ("GET", COUNTERS),
    ("GET", EVENTS),
    ("GET", EXPORT),
    ("GET", LOCKS),
    ("GET", OPENAPI),
    ("GET", REFERENCE),
    ("GET", REFUSALS),
    ("GET", RULES),
    ("GET", STATISTICS),
    ("GET", STATUS),
    ("POST", IMPORT),
    ("POST", LOCK),
    ("POST", RELOAD),
    ("POST", RESET),
    ("POST", UNLOCK),
    ("POST", UPGRADE),
];

/// Does what `request` asks for, if it may come in by `door`. Dropping the future does not undo
/// what has begun.
pub async fn answer(
    request: Request<Incoming>,
    (door, caller, guest): (&Door, Caller, &Guest),
    admin: &Rc<Admin>,
) -> Reply {
    let (uri, headers) = (request.uri(), request.headers());
    if let Err(problem) = check_size(uri, headers) {
        return problem.reply();
    }
    let is_reading = [Method::GET, Method::HEAD].contains(request.method());
    let answered = match page::find(uri.path()).filter(|_| is_reading) {
        // the files hold nothing: whoever has them is asked for the token with the first question
        Some(file) => door.check_origin(uri, headers).map(|()| file.reply()),
        None => match door.check(uri, headers) {
            Ok(()) => {
                guest.is_known().await;
                route(request, caller, admin).await
            }
            Err(problem) => Err(problem),
        },
    };
    answered.unwrap_or_else(|problem| problem.reply())
}

/// Whether a head is within bounds.
fn check_size(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let size = fields.sum::<usize>() + uri.to_string().len();
    if size <= LONGEST_HEAD && headers.len() <= MOST_FIELDS {
        return Ok(());
    }
    let detail =
        format!("the head has more than {LONGEST_HEAD} bytes or more than {MOST_FIELDS} fields");
    Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail))
}

/// The way of each question to its answer.
async fn route(
    mut request: Request<Incoming>,
    caller: Caller,
    admin: &Rc<Admin>,
) -> Result<Reply, Problem> {
    let (method, pattern) = find(request.method(), request.uri().path())?;
    let shared = admin.reloader.shared();
    match (method, pattern) {
        ("GET", COUNTERS) => {
            let query = request.uri().query().map(str::to_owned);
            let _here = present::counters(shared).await?;
            counters::list(query.as_deref(), shared).await.map(|list| answer_with(&list))
        }
        ("GET", EVENTS) => {
            let query = request.uri().query().unwrap_or_default();
            Ok(follow::answer(query, request.headers(), admin.reloader.hub().outlets()))
        }
        ("GET", EXPORT) => {
            // who takes it slowly holds up no handover
            drop(present::counters(shared).await?);
            Ok(export::export(caller, admin))
        }
        ("GET", RULES) => Ok(answer_with(&rules(admin))),
        ("GET", STATISTICS) => {
            let query = request.uri().query().map(str::to_owned);
            let _here = present::counters(shared).await?;
            let told = admin.recorder.tell(query.as_deref(), shared).await;
            told.map(|told| answer_with(&told))
        }
        ("GET", STATUS) => Ok(answer_with(&status(admin))),
        ("GET", CONFIG) => Ok(answer_with(&config::config(admin))),
        ("GET", OPENAPI) => Ok(text(StatusCode::OK, "application/json", DOCUMENT)),
        ("GET", REFERENCE) => {
            let written = request.uri().path().rsplit('/').next().unwrap_or_default();
            let reference = decoded(written)?;
            let _here = present::counters(shared).await?;
            let chain = references::chain(&reference, shared).await;
            chain.map(|chain| answer_with(&chain))
        }
        ("GET", REFUSALS) => {
            refused::list(request.uri().query(), shared).map(|list| answer_with(&list))
        }
        ("GET", LOCKS) => {
            let query = request.uri().query().map(str::to_owned);
            let _here = present::counters(shared).await?;
            locks::list(query.as_deref(), shared).await.map(|list| answer_with(&list))
        }
        ("POST", IMPORT | LOCK | RESET | UNLOCK) => change(pattern, request, caller, shared).await,
        ("POST", RELOAD) => reloaded(admin.reloader.reload("admin").await),
        ("POST", UPGRADE) => upgrade(&mut request, caller, admin),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here")),
    }
}

/// Changes what counts; that is kept before anybody is told.
async fn change(
    pattern: &str,
    request: Request<Incoming>,
    caller: Caller,
    shared: &Shared,
) -> Result<Reply, Problem> {
    let (changed, _here) = match pattern {
        IMPORT => {
            let here = present::counters(shared).await?;
            (import::import(request, caller, shared).await, here)
        }
        LOCK => {
            let sent = Sent::read(request, &locks::MEMBERS).await?;
            let here = present::counters(shared).await?;
            (locks::lock(&sent, caller, shared).await, here)
        }
        _ => {
            let sent = Sent::read(request, &reset::MEMBERS).await?;
            let here = present::counters(shared).await?;
            (reset::reset(&sent, caller, shared).await, here)
        }
    };
    shared.store.until_all_kept().await;
    changed.map(|answer| answer_with(&answer))
}

/// The route of a request.
fn find(method: &Method, path: &str) -> Result<(&'static str, &'static str), Problem> {
    let mut there = ROUTES.iter().filter(|(_, pattern)| matches(pattern, path));
    let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some(route) = there.clone().find(|(known, _)| *known == wanted) {
        return Ok(*route);
    }
    if there.next().is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here"));
    }
    let allow = allowed(path);
    let detail = format!("only {allow}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
    Err(Problem { allow: Some(allow), ..problem })
}

/// The methods that are allowed at `path`.
fn allowed(path: &str) -> String {
    let there = ROUTES.iter().filter(|(_, pattern)| matches(pattern, path));
    let methods = there.flat_map(|(method, _)| match *method {
        "GET" => vec!["GET", "HEAD"],
        method => vec![method],
    });
    methods.collect::<Vec<_>>().join(", ")
}

/// Whether `path` is of that pattern.
fn matches(pattern: &str, path: &str) -> bool {
    let is_one =
        |(known, own): (&str, &str)| known == own || (known.starts_with('{') && !own.is_empty());
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(is_one)
}

/// What is below an operators' connection at the unix socket.
type Guarded = TokioIo<Impatient<UnixStream>>;

/// The connection becomes one over which everything is handed over.
fn upgrade(
    request: &mut Request<Incoming>,
    caller: Caller,
    admin: &Rc<Admin>,
) -> Result<Reply, Problem> {
    let wanted = request.headers().get(UPGRADE_FIELD).map(HeaderValue::as_bytes);
    if wanted != Some(PROTOCOL.as_bytes()) {
        return Err(Problem::bad("it is no guard that asks"));
    }
    if let Caller::Tcp(_) = caller {
        let why = "sockets can be handed over at the unix socket alone";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    if !admin.handover.begin() {
        let why = "the guard is about to end, or is being upgraded already";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let (upgraded, admin) = (hyper::upgrade::on(request), Rc::clone(admin));
    tokio::task::spawn_local(async move {
        let stream = upgraded.await.ok().and_then(|it| it.downcast::<Guarded>().ok());
        match (stream, admin.socket.upgrade()) {
            (Some(parts), Some(own)) => {
                admin.handover.run(parts.io.into_inner().into_inner(), &own).await
            }
            _ => admin.handover.give_up(),
        }
    });
    let mut response = Response::new(Full::default().into());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE_FIELD, HeaderValue::from_static(PROTOCOL));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    Ok(response)
}

fn reloaded(result: Result<Reloaded, ReloadError>) -> Result<Reply, Problem> {
    match result {
        Ok(Reloaded { warnings, need_restart }) => {
            let problems = shown(warnings.iter());
            Ok(answer_with(&json!({ "problems": problems, "need_restart": need_restart })))
        }
        Err(ReloadError::NoFile) => {
            let why = "the guard was started without a configuration file";
            Err(Problem::new(StatusCode::CONFLICT, why))
        }
        Err(ReloadError::Unusable(problems)) => {
            let why = "the configuration cannot be used; everything stays as it was";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why);
            Err(problem.with("problems", shown(problems.iter())))
        }
    }
}

/// Problems of a configuration, as JSON.
pub(super) fn shown<'a>(problems: impl Iterator<Item = &'a ConfigProblem>) -> Vec<Value> {
    let shown = |problem: &ConfigProblem| {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({ "severity": severity, "text": problem.to_string() })
    };
    problems.map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_as_long_as_the_path() {
        let check =
            |pattern, path, expected| assert_eq!(matches(pattern, path), expected, "{path}");
        check("/v1/references/{ref}", "/v1/references/QZ52GVYE", true);
        check("/v1/references/{ref}", "/v1/references/", false);
        check("/v1/references/{ref}", "/v1/references", false);
        check("/v1/references/{ref}", "/v1/references/a/b", false);
        check(STATUS, "/v1/status", true);
        check(STATUS, "/v1/status/", false);
        check(STATUS, "/V1/status", false);
    }
}
