//! How failures are counted: what a level of the file says over what the level above it says.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::lockout::Parameter;
use crate::policy::route::{AtLimit, Lockout, Mode, NeverLock, ResetOnSuccess, WhileLocked};

use super::fields::Fields;
use super::keys;
use super::limit::{defaults, limits};
use super::network::networks;
use super::node::Node;
use super::reader::Reader;
use super::response::{self, response};
use super::scalar::{choice, duration_from, flag, text};

/// The lockout settings at some level: the file, a site, a login.
#[derive(Clone, Debug)]
pub(super) struct Level<'a> {
    /// The settings themselves.
    pub(super) lockout: Arc<Lockout>,
    /// Where their limits are written; `None` where they are the defaults.
    pub(super) limits: Option<&'a Node>,
}

impl<'a> Level<'a> {
    /// What holds where the file says nothing.
    pub(super) fn defaults() -> Self {
        let lockout = Lockout {
            limits: defaults(),
            mode: Mode::Enforce,
            at_limit: AtLimit::Lockout,
            reset_on_success: ResetOnSuccess::SameClient,
            while_locked: WhileLocked::Ignore,
            never_lock: NeverLock::default(),
            wait: Duration::from_secs(10),
            response: Arc::new(response::defaults()),
        };
        Self { lockout: Arc::new(lockout), limits: None }
    }

    /// These settings, key by key replaced by those of `node`.
    pub(super) fn under(&self, node: Option<&'a Node>, reader: &mut Reader<'_>) -> Self {
        let Some(node) = node else { return self.clone() };
        let fields = Fields::of(node, &keys::LOCKOUT, reader);
        let mut own = Lockout::clone(&self.lockout);
        let own_limits = fields.read("limits", limits, reader);
        let limits = if own_limits.is_some() { fields.get("limits") } else { self.limits };
        own.limits = own_limits.unwrap_or(own.limits);
        fields.set("mode", &mut own.mode, mode, reader);
        fields.set("at_limit", &mut own.at_limit, at_limit, reader);
        fields.set("reset_on_success", &mut own.reset_on_success, reset_on_success, reader);
        fields.set("count_while_locked", &mut own.while_locked, while_locked, reader);
        fields.set("wait", &mut own.wait, wait, reader);
        if let Some(node) = fields.get("never_lock") {
            never_lock(node, &mut own.never_lock, reader);
        }
        if let Some(node) = fields.get("response") {
            own.response = Arc::new(response(node, &self.lockout.response, reader));
        }
        Self { lockout: Arc::new(own), limits }
    }
}

fn mode(node: &Node, reader: &mut Reader<'_>) -> Option<Mode> {
    choice(node, &[("enforce", Mode::Enforce), ("monitor", Mode::Monitor)], reader)
}

fn at_limit(node: &Node, reader: &mut Reader<'_>) -> Option<AtLimit> {
    choice(node, &[("lockout", AtLimit::Lockout), ("upstream", AtLimit::Upstream)], reader)
}

fn reset_on_success(node: &Node, reader: &mut Reader<'_>) -> Option<ResetOnSuccess> {
    let words = [
        ("none", ResetOnSuccess::None),
        ("same_client", ResetOnSuccess::SameClient),
        ("all", ResetOnSuccess::All),
    ];
    choice(node, &words, reader)
}

fn while_locked(node: &Node, reader: &mut Reader<'_>) -> Option<WhileLocked> {
    let counts = flag(node, reader)?;
    Some(if counts { WhileLocked::Count } else { WhileLocked::Ignore })
}

fn wait(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    duration_from(node, Duration::ZERO, reader)
}

fn never_lock(node: &Node, own: &mut NeverLock, reader: &mut Reader<'_>) {
    let fields = Fields::of(node, &keys::NEVER_LOCK, reader);
    fields.set("networks", &mut own.networks, networks, reader);
    if fields.has("usernames") {
        let username = |node, reader: &mut Reader<'_>| text(node, reader).map(Into::into);
        own.usernames = fields.each("usernames", username, reader);
    }
}

/// The limits that a login is counted by, and whether it can tell a username.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<'a> {
    /// Where the limits are written; `None` where they are the defaults.
    pub(super) limits: Option<&'a Node>,
    /// Whether the login names a username.
    pub(super) username: Username,
}

/// Whether a login names a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Username {
    /// It does.
    Named,
    /// It does not, but a session cookie, which may belong to one.
    Session,
    /// It does not.
    Unknown,
}

/// Reports limits by username where no login that they count has one.
pub(super) fn check_usernames(uses: &[Use<'_>], reader: &mut Reader<'_>) {
    let mut seen: Vec<&Node> = Vec::new();
    for list in uses.iter().filter_map(|one| one.limits) {
        let shares = |one: &&Use<'_>| one.limits.is_some_and(|own| std::ptr::eq(own, list));
        let named = uses.iter().filter(shares).any(|one| one.username == Username::Named);
        if named || seen.iter().any(|other| std::ptr::eq(*other, list)) {
            continue;
        }
        seen.push(list);
        for node in list.items() {
            let by = node.member("by").map_or(&[][..], Node::items);
            if by.iter().any(|parameter| parameter.is_text(Parameter::Username.name())) {
                let right = "give one of them `username`, or count by something else";
                reader.error(node, "counts by username, but no login it is for has one", right);
            }
        }
    }
}
