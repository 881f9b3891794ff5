//! What operators can ask a running guard, and its answers: JSON, each with a status of HTTP.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE as UPGRADE_FIELD,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::Admin;
use super::status::status;
use crate::config::error::{Problem, Severity};
use crate::server::reload::{ReloadError, Reloaded};

/// How the guard is, to be asked with GET.
pub const STATUS: &str = "/v1/status";
/// Hands everything over to whoever asks, to be asked with POST; see [`super::handover`].
pub const UPGRADE: &str = "/v1/upgrade";
/// What the connection becomes then.
pub const PROTOCOL: &str = "loginward-upgrade";
/// Reads the configuration again, to be asked with POST.
pub const RELOAD: &str = "/v1/reload";

/// Does what `request` asks for. Dropping the future does not undo what has begun.
pub async fn answer(request: &mut Request<Incoming>, admin: &Rc<Admin>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, STATUS) => response(StatusCode::OK, &status(admin)),
        (&Method::POST, RELOAD) => reloaded(admin.reloader.reload("admin").await),
        (&Method::POST, UPGRADE) => upgrade(request, admin),
        (_, UPGRADE) => only(&Method::POST),
        (_, STATUS) => only(&Method::GET),
        (_, RELOAD) => only(&Method::POST),
        _ => response(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing here" })),
    }
}

/// The connection becomes one over which everything is handed over.
fn upgrade(request: &mut Request<Incoming>, admin: &Rc<Admin>) -> Response<Full<Bytes>> {
    let wanted = request.headers().get(UPGRADE_FIELD).map(HeaderValue::as_bytes);
    if wanted != Some(PROTOCOL.as_bytes()) {
        return response(StatusCode::BAD_REQUEST, &json!({ "error": "it is no guard that asks" }));
    }
    if !admin.handover.begin() {
        let why = "the guard is about to end, or is being upgraded already";
        return response(StatusCode::CONFLICT, &json!({ "error": why }));
    }
    let (upgraded, admin) = (hyper::upgrade::on(request), Rc::clone(admin));
    tokio::task::spawn_local(async move {
        let stream = upgraded.await.ok().and_then(|it| it.downcast::<TokioIo<UnixStream>>().ok());
        match (stream, admin.socket.upgrade()) {
            (Some(parts), Some(own)) => admin.handover.run(parts.io.into_inner(), &own).await,
            _ => admin.handover.give_up(),
        }
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE_FIELD, HeaderValue::from_static(PROTOCOL));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

fn reloaded(result: Result<Reloaded, ReloadError>) -> Response<Full<Bytes>> {
    match result {
        Ok(Reloaded { warnings, need_restart }) => response(
            StatusCode::OK,
            &json!({ "problems": shown(warnings.iter()), "need_restart": need_restart }),
        ),
        Err(ReloadError::NoFile) => {
            let why = "the guard was started without a configuration file";
            response(StatusCode::CONFLICT, &json!({ "error": why }))
        }
        Err(ReloadError::Unusable(problems)) => {
            let answer = json!({
                "error": "the configuration cannot be used; everything stays as it was",
                "problems": shown(problems.iter()),
            });
            response(StatusCode::UNPROCESSABLE_ENTITY, &answer)
        }
    }
}

fn shown<'a>(problems: impl Iterator<Item = &'a Problem>) -> Vec<Value> {
    let shown = |problem: &Problem| {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({ "severity": severity, "text": problem.to_string() })
    };
    problems.map(shown).collect()
}

fn only(method: &Method) -> Response<Full<Bytes>> {
    let error = json!({ "error": format!("only {method}") });
    let mut response = response(StatusCode::METHOD_NOT_ALLOWED, &error);
    if let Ok(allowed) = HeaderValue::from_str(method.as_str()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

fn response(status: StatusCode, answer: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{answer}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
