//! Where an answer redirects to, resolved against its request (RFC 3986, section 5).

use percent_encoding::percent_decode_str;

use crate::policy::glob::Glob;
use crate::policy::hosts::without_port;

/// A redirect's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The whole of it, without a fragment.
    pub whole: String,
    /// Path and query, where it is on the request's host; dot segments are resolved.
    pub on_same_host: Option<String>,
}

impl Location {
    /// What `value` means in the answer to a request for `path` on `host`.
    #[must_use]
    pub fn resolve(value: &[u8], host: &str, path: &str) -> Self {
        let value = String::from_utf8_lossy(value);
        let value = value.trim().split('#').next().unwrap_or_default();
        // browsers take a backslash for a slash, so `/\evil.example` is another host
        let slashed = value.replace('\\', "/");
        let (authority, rest) = split(&slashed);
        let path_and_query = match authority {
            Some(_) if rest.is_empty() => "/".to_owned(),
            Some(_) => rest.to_owned(),
            None => relative(rest, path),
        };
        let same = authority.is_none_or(|authority| same_host(authority, host));
        let on_same_host = same.then(|| without_dots(&path_and_query));
        Self { whole: value.to_owned(), on_same_host }
    }

    /// Whether `value` says where it leads without the request's path.
    #[must_use]
    pub fn is_absolute(value: &[u8]) -> bool {
        let value = String::from_utf8_lossy(value);
        let slashed = value.trim().replace('\\', "/");
        let (authority, rest) = split(&slashed);
        authority.is_some() || rest.starts_with('/')
    }

    /// Whether `pattern` fits: one that begins with `/` path and query on the same host, any
    /// other the whole.
    #[must_use]
    pub fn fits(&self, pattern: &LocationPattern) -> bool {
        match pattern {
            LocationPattern::SameHost(glob) => {
                self.on_same_host.as_ref().is_some_and(|path| glob.matches(path.as_bytes()))
            }
            LocationPattern::Whole(glob) => glob.matches(self.whole.as_bytes()),
        }
    }

    /// Whether it seems to be `path` under another name: the last part is the same.
    #[must_use]
    pub fn is_back_at(&self, path: &str) -> bool {
        self.path().is_some_and(|own| last_segment(own) == last_segment(path))
    }

    /// The path without the query, where it is on the same host.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.on_same_host.as_deref().map(|path| path.split('?').next().unwrap_or_default())
    }
}

/// What a rule says about a redirect's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationPattern {
    /// About path and query on the request's host.
    SameHost(Glob),
    /// About the whole value.
    Whole(Glob),
}

/// The last part of a path, in lower case and without parameters.
fn last_segment(path: &str) -> String {
    let last = path.trim_end_matches(['/', '.']).rsplit('/').next().unwrap_or_default();
    let last = last.split([';', '?']).next().unwrap_or_default();
    percent_decode_str(last).decode_utf8_lossy().trim().to_lowercase()
}

/// The authority, if there is one, and what follows it.
fn split(value: &str) -> (Option<&str>, &str) {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let after_scheme = match value.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => Some(rest),
        _ => None,
    };
    let hierarchical = after_scheme.unwrap_or(value);
    match hierarchical.strip_prefix("//") {
        Some(rest) => {
            let rest = rest.trim_start_matches('/');
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(authority), tail)
        }
        // `javascript:…` and the like are on no host
        None if after_scheme.is_some() => (Some(""), hierarchical),
        None => (None, value),
    }
}

fn relative(reference: &str, path: &str) -> String {
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('?') {
        return format!("{path}{reference}");
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{reference}")
}

fn same_host(authority: &str, host: &str) -> bool {
    let without_user = authority.rsplit('@').next().unwrap_or_default();
    let bare = |authority| without_port(authority).trim_end_matches('.').to_ascii_lowercase();
    bare(without_user) == bare(host)
}

fn without_dots(path_and_query: &str) -> String {
    let (path, query) = path_and_query
        .split_once('?')
        .map_or((path_and_query, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        // browsers take an encoded dot for one
        match &*segment.to_ascii_lowercase().replace("%2e", ".") {
            ".." => {
                kept.pop();
            }
            "." => {}
            _ => kept.push(segment),
        }
    }
    let mut resolved = format!("/{}", kept.join("/"));
    if path.ends_with("/.") || path.ends_with("/..") {
        resolved.push('/');
    }
    if let Some(query) = query {
        resolved.push('?');
        resolved.push_str(query);
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        let location = Location::resolve(value.as_bytes(), "shop.example:8080", "/u/login");
        assert_eq!(location.on_same_host.as_deref(), expected, "{value}");
    }

    #[test]
    fn locations_are_resolved_against_the_request() {
        check("/app", Some("/app"));
        check("app?x=1", Some("/u/app?x=1"));
        check("?error", Some("/u/login?error"));
        check("", Some("/u/login"));
        check("../app", Some("/app"));
        check("/app/../login#x", Some("/login"));
        check("http://shop.example/app", Some("/app"));
        check("HTTPS://SHOP.example.:8080", Some("/"));
        check("//shop.example/app", Some("/app"));
        check("http://shop.example?x", Some("?x").map(|_| "/?x"));
    }

    #[test]
    fn other_hosts_are_not_the_same_host() {
        check("//evil.example/app", None);
        check("/\\evil.example/app", None);
        check("http://shop.example@evil.example/app", None);
        check("http://shop.example.evil.example/app", None);
        check("javascript:/app", None);
        check("http:///evil.example/app", None);
    }
}
