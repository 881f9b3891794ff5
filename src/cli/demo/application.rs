//! The demo's application: a page with a login, such as many are. It knows nothing of the guard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderValue, LOCATION,
    SET_COOKIE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use minijinja::{AutoEscape, Environment, context};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

/// The one account.
pub const USERNAME: &str = "ada";
/// Its password.
pub const PASSWORD: &str = "lovelace-1843";
/// The cookie that is a session.
pub const SESSION: &str = "desk_session";

/// The largest form that is read.
const MOST_BODY: usize = 16 * 1024;
/// So many people are signed in at most; the first to come is the first to go.
const MOST_SESSIONS: usize = 1000;
const PAGE: &str = include_str!("page.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The application, before it serves.
#[derive(Debug)]
pub struct Application {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Application {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as it is polled, in tasks of this thread.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub async fn serve(self) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let desk = Rc::new(Desk::default());
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // out of file descriptors, most likely: others must end first
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let desk = Rc::clone(&desk);
            let service = service_fn(move |request| answer(Rc::clone(&desk), request));
            tokio::task::spawn_local(async move {
                // whoever asked has gone; there is nothing to do about it
                drop(Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    }
}

/// Who is signed in, and how many passwords have been looked at.
#[derive(Debug, Default)]
struct Desk {
    sessions: RefCell<VecDeque<String>>,
    checked: Cell<u64>,
}

/// What the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View<'a> {
    /// The form.
    SignIn,
    /// The form, after a wrong password of this username.
    Failed(&'a str),
    /// What only those see who are signed in.
    Desk,
    /// Nothing.
    Missing,
}

async fn answer(
    desk: Rc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = session_of(&request).filter(|session| desk.knows(session));
    let method = request.method().clone();
    Ok(match (method, request.uri().path()) {
        (Method::GET | Method::HEAD, "/") => match session {
            Some(_) => desk.page(View::Desk),
            None => redirect("/login", None),
        },
        (Method::GET | Method::HEAD, "/login") => match session {
            Some(_) => redirect("/", None),
            None => desk.page(View::SignIn),
        },
        (Method::POST, "/login") => {
            let form = Limited::new(request.into_body(), MOST_BODY).collect().await;
            form.map_or_else(
                |_| status(StatusCode::PAYLOAD_TOO_LARGE),
                |form| desk.sign_in(&String::from_utf8_lossy(&form.to_bytes())),
            )
        }
        (Method::POST, "/logout") => {
            desk.sessions.borrow_mut().retain(|known| Some(known) != session.as_ref());
            redirect("/login", Some(format!("{SESSION}=; Path=/; Max-Age=0")))
        }
        (_, "/") => allow("GET, HEAD"),
        (_, "/login") => allow("GET, HEAD, POST"),
        (_, "/logout") => allow("POST"),
        _ => desk.page(View::Missing),
    })
}

impl Desk {
    fn knows(&self, session: &str) -> bool {
        self.sessions.borrow().iter().any(|known| known == session)
    }

    fn sign_in(&self, form: &str) -> Response<Full<Bytes>> {
        self.checked.set(self.checked.get() + 1);
        let username = field(form, "username");
        if username.trim() != USERNAME || field(form, "password") != PASSWORD {
            return self.page(View::Failed(&username));
        }
        let mut secret = [0; 16];
        if getrandom::fill(&mut secret).is_err() {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let session = format!("{:032x}", u128::from_ne_bytes(secret));
        let cookie = format!("{SESSION}={session}; Path=/; HttpOnly; SameSite=Lax");
        let mut sessions = self.sessions.borrow_mut();
        sessions.push_back(session);
        if sessions.len() > MOST_SESSIONS {
            sessions.pop_front();
        }
        redirect("/", Some(cookie))
    }

    fn page(&self, view: View<'_>) -> Response<Full<Bytes>> {
        let (name, username) = match view {
            View::SignIn => ("sign-in", ""),
            View::Failed(username) => ("failed", username),
            View::Desk => ("desk", USERNAME),
            View::Missing => ("missing", ""),
        };
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let checked = self.checked.get();
        let account = context! { username => USERNAME, password => PASSWORD };
        let values = context! { view => name, username, checked, account };
        let Ok(page) = environment.render_str(PAGE, values) else {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut response = Response::new(Full::from(page));
        if view == View::Missing {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }
}

/// The session that a request carries.
fn session_of(request: &Request<Incoming>) -> Option<String> {
    let lines = request.headers().get_all(COOKIE).iter();
    let mut pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == SESSION).then(|| value.trim().to_owned())
    })
}

/// The value of a field of a form.
fn field(form: &str, name: &str) -> String {
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(own, _)| *own == name).map_or("", |(_, value)| value);
    let value = value.replace('+', " ");
    percent_decode_str(&value).decode_utf8_lossy().into_owned()
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn allow(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn redirect(to: &'static str, cookie: Option<String>) -> Response<Full<Bytes>> {
    let mut response = status(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let check = |form, expected: &str| assert_eq!(field(form, "username"), expected);
        check("username=ada&password=x", "ada");
        check("password=x&username=+ad%C3%A4%20", " adä ");
        check("username=", "");
        check("usernames=x", "");
    }

    #[test]
    fn every_view_has_a_page() {
        let desk = Desk::default();
        for view in [View::SignIn, View::Failed("x"), View::Desk] {
            assert_eq!(desk.page(view).status(), StatusCode::OK, "{view:?}");
        }
        assert_eq!(desk.page(View::Missing).status(), StatusCode::NOT_FOUND);
    }
}
