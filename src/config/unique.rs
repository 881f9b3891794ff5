//! What may be there only once: names, hosts, paths.

use std::collections::HashMap;

use crate::policy::route::{HostPattern, LoginRule, When};

use super::SiteSettings;
use super::node::{Node, shorten};
use super::path::{PathPattern, same};
use super::reader::Reader;

/// Reports names that several `things` have.
pub(super) fn names<'a>(
    named: impl Iterator<Item = (&'a Node, &'a str)>,
    things: &str,
    reader: &mut Reader<'_>,
) {
    let mut seen: HashMap<&str, &Node> = HashMap::new();
    for (node, name) in named.filter(|(_, name)| !name.is_empty()) {
        let Some(first) = seen.get(name) else {
            seen.insert(name, node);
            continue;
        };
        let (line, name) = (first.at.line, shorten(name));
        let wrong = format!("there are two {things} `{name}`, the first in line {line}");
        reader.error(node, wrong, "give one of them another `name`");
    }
}

/// Reports hosts that several sites answer for.
pub(super) fn hosts(sites: &[(&Node, SiteSettings)], reader: &mut Reader<'_>) {
    let mut seen: HashMap<Option<&HostPattern>, &Node> = HashMap::new();
    let all = sites.iter().flat_map(|(node, site)| {
        let every = site.site.hosts.is_empty().then_some(None);
        site.site.hosts.iter().map(Some).chain(every).map(|host| (*node, host))
    });
    for (node, host) in all {
        let Some(first) = seen.get(&host) else {
            seen.insert(host, node);
            continue;
        };
        let line = first.at.line;
        let what = host.map_or_else(|| "every host".to_owned(), shown);
        let wrong = format!("{what} belongs to the site in line {line} already");
        reader.error(node, wrong, "give each site `hosts` of its own");
    }
}

fn shown(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => format!("`{name}`"),
        HostPattern::Below(name) => format!("`*.{name}`"),
    }
}

/// Reports paths that several rules of a site are for, unless conditions tell the rules apart.
pub(super) fn paths(logins: &[(&Node, LoginRule)], reader: &mut Reader<'_>) {
    let mut seen: Vec<(&Node, &PathPattern, &When)> = Vec::new();
    let all = logins
        .iter()
        .flat_map(|(node, rule)| rule.paths.iter().map(|(path, _)| (*node, path, &rule.when)));
    for (node, path, when) in all {
        let clash = |(_, other, others): &&(&Node, &PathPattern, &When)| {
            same(other, path) && !are_apart(others, when)
        };
        let Some((first, ..)) = seen.iter().find(clash) else {
            seen.push((node, path, when));
            continue;
        };
        let (line, path) = (first.at.line, shorten(&path.written));
        if std::ptr::eq(*first, node) {
            reader.error(node, format!("names `{path}` twice"), "name it once");
            continue;
        }
        let wrong = format!("`{path}` belongs to the login in line {line} already");
        let right = "make the two one, or put the narrower one first and narrow it by `when`";
        reader.error(node, wrong, right);
    }
}

/// The first rule leaves something to the second.
fn are_apart(first: &When, second: &When) -> bool {
    let is_narrow = !first.query.is_empty() || !first.field.is_empty();
    let same = first.query == second.query && first.field == second.field;
    is_narrow && !same
}
