//! What a refused client reads: a page, or a JSON document; the operator's own or ours.

use std::fmt::Write as _;

use bytes::Bytes;
use http::StatusCode;
use minijinja::{AutoEscape, Environment, context};

use crate::policy::route::ResponseSettings;

/// What a refused client is told: no username, no counts, nothing that depends on whether the
/// account exists.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The status of the response.
    pub status: StatusCode,
    /// What happened, in a few words.
    pub title: &'static str,
    /// What kind of answer it is, as `X-Loginward` says.
    pub kind: &'static str,
    /// By what support can find it in the log.
    pub reference: &'a str,
    /// In how many seconds to try again.
    pub retry_after: Option<u64>,
}

/// The page.
#[must_use]
pub fn html(settings: &ResponseSettings, told: &Told<'_>) -> Bytes {
    let own = settings.html.as_deref().filter(|_| told.kind == "locked");
    match own.and_then(|template| render(template, AutoEscape::Html, settings, told)) {
        Some(page) => page.into(),
        None => our_page(settings, told).into(),
    }
}

/// The JSON document.
#[must_use]
pub fn json(settings: &ResponseSettings, told: &Told<'_>) -> Bytes {
    let own = settings.json.as_deref().filter(|_| told.kind == "locked");
    match own.and_then(|template| render(template, AutoEscape::Json, settings, told)) {
        Some(document) => document.into(),
        None => our_document(settings, told).into(),
    }
}

/// Checks an operator's template.
///
/// # Errors
///
/// What is wrong with it and where.
pub fn check(template: &str) -> Result<(), minijinja::Error> {
    environment().template_from_str(template).map(drop)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(100_000)); // a template that never ends is a mistake
    environment
}

fn render(
    template: &str,
    escape: AutoEscape,
    settings: &ResponseSettings,
    told: &Told<'_>,
) -> Option<String> {
    let mut environment = environment();
    environment.set_auto_escape_callback(move |_| escape.clone());
    let values = context! {
        status => told.status.as_u16(),
        title => told.title,
        reference => told.reference,
        retry_after => told.retry_after,
        retry_in => told.retry_after.map(in_words),
        contact => settings.contact.as_deref(),
    };
    environment.render_str(template, values).ok()
}

fn our_page(settings: &ResponseSettings, told: &Told<'_>) -> String {
    let mut page = String::with_capacity(1400);
    page.push_str(HEAD_UNTIL_TITLE);
    page.push_str(told.title);
    page.push_str(HEAD_AFTER_TITLE);
    page.push_str(told.title);
    page.push_str("</h1>\n");
    let (first, again) = explanation(told);
    page.push_str("<p>");
    page.push_str(first);
    if let Some(seconds) = again {
        page.push_str("</p>\n<p>");
        say_when(&mut page, seconds);
    }
    page.push_str("</p>\n");
    if let Some(contact) = &settings.contact {
        page.push_str("<p>Need help? ");
        escape_into(&mut page, contact);
        page.push_str("</p>\n");
    }
    page.push_str("<p class=\"ref\">Reference: <strong>");
    page.push_str(told.reference);
    page.push_str("</strong></p>\n</main>\n</body>\n</html>\n");
    page
}

const HEAD_UNTIL_TITLE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n\
<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta name=\"robots\" content=\"noindex\">\n<title>";

const HEAD_AFTER_TITLE: &str = "</title>\n<style>\n\
:root{color-scheme:light dark}\n\
body{margin:0;font:1.125rem/1.6 system-ui,sans-serif;color:#1f2328;background:#f6f8fa}\n\
main{max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}\n\
h1{font-size:1.6rem;line-height:1.25}\n\
.ref{color:#57606a;font-size:1rem}\n\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}.ref{color:#9da7b3}}\n\
</style>\n</head>\n<body>\n<main>\n<h1>";

/// What to do about it, and in how many seconds to try again where that is said too.
fn explanation(told: &Told<'_>) -> (&'static str, Option<u64>) {
    let first = match (told.kind, told.retry_after) {
        ("locked", Some(_)) => {
            return ("For safety, signing in is paused for a while.", told.retry_after);
        }
        ("locked", None) => "For safety, signing in is blocked until it is released.",
        ("denied", _) => "This is not available from where you are.",
        ("busy", _) => "Too many sign-in attempts are being checked just now.",
        ("error", _) => "Please try again later.",
        _ => "Nothing was passed on. Please check the request.",
    };
    (first, None)
}

fn say_when(out: &mut String, seconds: u64) {
    out.push_str("You can try again in ");
    say(out, seconds);
    out.push('.');
}

/// A duration as people say it, rounded up.
#[must_use]
pub fn in_words(seconds: u64) -> String {
    let mut words = String::new();
    say(&mut words, seconds);
    words
}

fn say(out: &mut String, seconds: u64) {
    let (count, unit) = match seconds {
        0..=90 => (seconds.max(1), " second"),
        91..=5400 => (seconds.div_ceil(60), " minute"),
        5401..=129_600 => (seconds.div_ceil(3600), " hour"),
        _ => (seconds.div_ceil(86_400), " day"),
    };
    out.push_str(itoa::Buffer::new().format(count));
    out.push_str(unit);
    if count != 1 {
        out.push('s');
    }
}

fn escape_into(page: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            letter => page.push(letter),
        }
    }
}

/// RFC 9457.
fn our_document(settings: &ResponseSettings, told: &Told<'_>) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let (first, again) = explanation(told);
    let mut detail = first.to_owned();
    if let Some(seconds) = again {
        detail.push(' ');
        say_when(&mut detail, seconds);
    }
    let mut document = format!(
        "{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{},\"ref\":{}",
        text(told.title),
        told.status.as_u16(),
        text(&detail),
        text(told.reference),
    );
    // writing to a string cannot fail
    if let Some(seconds) = told.retry_after {
        _ = write!(document, ",\"retry_after\":{seconds}");
    }
    if let Some(contact) = &settings.contact {
        _ = write!(document, ",\"contact\":{}", text(contact));
    }
    document.push('}');
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        let check = |seconds, expected| assert_eq!(in_words(seconds), expected);
        check(0, "1 second");
        check(59, "59 seconds");
        check(91, "2 minutes");
        check(600, "10 minutes");
        check(5401, "2 hours");
        check(172_800, "2 days");
    }
}
