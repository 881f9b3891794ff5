//! Sites: their hosts, their application, what is guarded there.

use std::sync::Arc;

use crate::policy::route::{Access, HostPattern, LoginRule, LogoutRule, Site, Spellings, When};

use super::access::access;
use super::fields::Fields;
use super::hsts::hsts;
use super::keys;
use super::lockout::{Level, Use, Username, check_usernames};
use super::login::login;
use super::node::{Kind, Node};
use super::reader::Reader;
use super::scalar::{choice, name};
use super::source::{method, path, session_cookie, when};
use super::upstream::upstream;
use super::{SiteSettings, address, outcome, unique};

/// What the file says for all sites.
#[derive(Debug)]
pub(super) struct Above<'a> {
    /// How failures are counted.
    pub(super) level: Level<'a>,
    /// Who may come at all.
    pub(super) access: Option<Access>,
}

/// The sites that the list `node` describes.
pub(super) fn sites<'a>(
    node: &'a Node,
    above: &Above<'a>,
    reader: &mut Reader<'_>,
) -> Vec<SiteSettings> {
    let mut uses = Vec::new();
    let mut sites: Vec<(&Node, SiteSettings)> = Vec::new();
    if node.items().is_empty() {
        reader.error(node, "is empty", "name at least one site");
    }
    for item in node.items() {
        let (site, logins) = site(item, above, reader);
        sites.extend(site.map(|site| (item, site)));
        uses.extend(logins);
    }
    check_usernames(&uses, reader);
    unique::names(sites.iter().map(|(node, site)| (*node, &*site.site.name)), "sites", reader);
    unique::hosts(&sites, reader);
    sites.into_iter().map(|(_, site)| site).collect()
}

fn site<'a>(
    node: &'a Node,
    above: &Above<'a>,
    reader: &mut Reader<'_>,
) -> (Option<SiteSettings>, Vec<Use<'a>>) {
    let fields = Fields::of(node, &keys::SITE, reader);
    let hosts = fields.some("hosts", address::host, reader);
    let upstream = upstream(&fields, &hosts, reader);
    let closed = fields.each("closed", path, reader);
    let spellings = fields.read("paths", spellings, reader).unwrap_or_default();
    let level = above.level.under(fields.get("lockout"), reader);
    let own_access = fields.read("access", access, reader);
    let own_name = fields.read("name", name, reader);
    let logouts = fields.each("logouts", logout, reader);
    let (logins, uses) = logins(&fields, &level, reader);
    let site = Site {
        name: own_name.map_or_else(|| default_name(&hosts), Into::into),
        hosts,
        closed,
        spellings,
        logins,
        logouts,
        access: above.access.iter().cloned().chain(own_access).collect(),
    };
    let hsts = fields.read("hsts", hsts, reader);
    (upstream.map(|upstream| SiteSettings { site: Arc::new(site), upstream, hsts }), uses)
}

fn spellings(node: &Node, reader: &mut Reader<'_>) -> Option<Spellings> {
    let words = [("lenient", Spellings::Lenient), ("strict", Spellings::Strict)];
    choice(node, &words, reader)
}

fn default_name(hosts: &[HostPattern]) -> Arc<str> {
    match hosts.first() {
        Some(HostPattern::Exact(name)) => Arc::from(&**name),
        Some(HostPattern::Below(name)) => format!("*.{name}").into(),
        None => "default".into(),
    }
}

fn logins<'a>(
    fields: &Fields<'a>,
    level: &Level<'a>,
    reader: &mut Reader<'_>,
) -> (Vec<Arc<LoginRule>>, Vec<Use<'a>>) {
    let list = fields.get("logins").map_or(&[][..], Node::items);
    if list.is_empty() && matches!(fields.node.kind, Kind::Map(_)) {
        reader.warn(fields.node, "has no `logins`, so nothing is guarded here", "");
    }
    let mut logins: Vec<(&Node, LoginRule)> = Vec::new();
    let mut uses = Vec::new();
    for item in list {
        let (rule, own) = login(item, level, reader);
        logins.push((item, rule));
        uses.push(own);
    }
    share_usernames(&mut uses);
    let skips = |one: &Use<'_>| one.limits.is_none() && one.username == Username::Unknown;
    if !uses.is_empty() && uses.iter().all(skips) {
        let wrong = "no login here has a username, so of the default limits only the one by \
                     `ip_address` counts: 50 failures";
        reader.warn(fields.node, wrong, "name a `username`, or give it `lockout: { limits: … }`");
    }
    unique::names(logins.iter().map(|(node, rule)| (*node, &*rule.name)), "logins", reader);
    unique::paths(&logins, reader);
    (logins.into_iter().map(|(_, rule)| Arc::new(rule)).collect(), uses)
}

/// A login that names no username but a session cookie, such as a second factor's, is charged to
/// the username that another login of the site gave that session to.
fn share_usernames(uses: &mut [Use<'_>]) {
    if uses.iter().any(|one| one.username == Username::Named) {
        for one in uses.iter_mut().filter(|one| one.username == Username::Session) {
            one.username = Username::Named;
        }
    }
}

fn logout(node: &Node, reader: &mut Reader<'_>) -> Option<LogoutRule> {
    let fields = Fields::of(node, &keys::LOGOUT, reader);
    if fields.lacks("path") {
        reader.error(node, "needs `path`", "such as `path: /logout`");
    }
    let path = fields.read("path", path, reader);
    let methods = fields.some("methods", method, reader);
    let when: When = fields.read("when", when, reader).unwrap_or_default();
    if !when.field.is_empty() {
        let wrong = "`field` would need the body, which is not read here";
        reader.error(node, wrong, "ask for `query` alone");
    }
    let status = fields.some("status", outcome::status, reader);
    let session_cookie = fields.read("session_cookie", session_cookie, reader);
    Some(LogoutRule { path: path?, methods, when, status, session_cookie })
}
