//! The application behind the guard: a login form whose passwords say what happens.

use crate::support::request::Request;
use crate::support::upstream::{Upstream, ok};

/// `POST /login`, or `GET` with a query: with the password `good` it redirects and begins a
/// session, with any other it shows the form again; but `crash` is a 500, `throttle` a 429,
/// `again` a redirect that keeps the session, and `cut` no answer at all. Everything else is a
/// page.
pub fn usual() -> Upstream {
    Upstream::scripted(|talk| {
        while let Some(request) = talk.request() {
            let Some(answer) = answer(&request) else { break };
            talk.send(answer);
        }
    })
}

/// What it says to one request; `None`: it breaks off.
pub fn answer(request: &Request) -> Option<String> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let fields = format!("{query}&{}", request.text());
    let password = fields.split('&').find_map(|field| field.strip_prefix("password="));
    Some(match password {
        Some("good") => redirect(request.connection + 1),
        Some("again") => redirect(0),
        Some("crash") => empty("500 Oops", ""),
        Some("throttle") => empty("429 Slower", ""),
        Some("cut") => return None,
        Some(_) => ok("<form>wrong</form>"),
        None => ok("<form></form>"),
    })
}

/// A success that sets the session to `session`.
fn redirect(session: usize) -> String {
    empty("302 Found", &format!("Location: /app\r\nSet-Cookie: session={session}\r\n"))
}

fn empty(status: &str, fields: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n")
}
