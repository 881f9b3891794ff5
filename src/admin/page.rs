//! The page for operators: its files, which hold nothing, and what a browser may do with them.
//!
//! Whatever it shows it asks the interface for. It loads nothing from anywhere else, runs no script
//! but its own, and is shown in no frame.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::reply::{Reply, text};

/// What the page's files are begun with by a browser: nothing but what is named here is allowed.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is, below the page's own address.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

macro_rules! files {
    ($($path:literal $kind:ident $file:literal),* $(,)?) => {
        [$(File { path: $path, kind: $kind, text: include_str!(concat!("page/", $file)) }),*]
    };
}

/// All of them.
pub const FILES: [File; 17] = files![
    "/" HTML "index.html",
    "/page/page.css" CSS "page.css",
    "/page/api.js" SCRIPT "api.js",
    "/page/charts.js" SCRIPT "charts.js",
    "/page/counters.js" SCRIPT "counters.js",
    "/page/dom.js" SCRIPT "dom.js",
    "/page/events.js" SCRIPT "events.js",
    "/page/format.js" SCRIPT "format.js",
    "/page/lock.js" SCRIPT "lock.js",
    "/page/locked.js" SCRIPT "locked.js",
    "/page/main.js" SCRIPT "main.js",
    "/page/now.js" SCRIPT "now.js",
    "/page/rules.js" SCRIPT "rules.js",
    "/page/scale.js" SCRIPT "scale.js",
    "/page/search.js" SCRIPT "search.js",
    "/page/story.js" SCRIPT "story.js",
    "/page/unlock.js" SCRIPT "unlock.js",
];

/// The file at `path`.
#[must_use]
pub fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

impl File {
    /// What is in it.
    #[must_use]
    pub const fn bytes(&self) -> Bytes {
        Bytes::from_static(self.text.as_bytes())
    }

    /// The answer to whoever asks for it.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let mut reply = text(StatusCode::OK, self.kind, self.bytes());
        protect(reply.headers_mut(), self.kind);
        reply
    }
}

/// Says with an answer of that kind what a browser may do with it.
pub fn protect(headers: &mut HeaderMap, kind: &'static str) {
    let fields: [(HeaderName, &'static str); 7] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_one_names_is_there_and_nothing_else_is_named() {
        let names = |text: &str, before: &str| -> Vec<String> {
            let rest = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
            rest.map(str::to_owned).collect()
        };
        let index = find("/").unwrap().text;
        for path in [names(index, "href=\"page/"), names(index, "src=\"page/")].concat() {
            assert!(find(&format!("/page/{path}")).is_some(), "{path}");
        }
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            for path in names(file.text, "from \"./") {
                assert!(find(&format!("/page/{path}")).is_some(), "{path} in {}", file.path);
            }
        }
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), FILES.len());
    }

    #[test]
    fn nothing_is_ever_parsed_as_html_and_nothing_comes_from_outside() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "setAttribute(\"on",
            "style=",
            "javascript:",
            "localStorage",
        ];
        for file in FILES {
            for word in forbidden {
                assert!(!file.text.contains(word), "{word} in {}", file.path);
            }
            let addresses = file.text.matches("://").count();
            let known = file.text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(addresses, known, "{}", file.path);
            assert!(file.text.lines().count() < 400, "{}", file.path);
        }
    }
}
