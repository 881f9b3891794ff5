//! What is told of limits, subjects and locks by hand, to another process or to a file.

use std::sync::Arc;

use ipnet::IpNet;

use crate::policy::key::candidate::Shown;
use crate::policy::key::{AccountId, Candidate, Candidates, Key, ScopeKind, Subject};
use crate::store::hand::HandLock;
use crate::store::register::LimitName;
use crate::store::select::Selector;
use crate::wire::{Reader, Writer};

/// What identifies a limit.
pub(super) fn write_name(name: &LimitName, to: &mut Writer) {
    to.text(&name.site);
    to.optional(name.login.as_deref(), Writer::text);
    to.text(&name.limit);
    to.byte(name.kind as u8);
}

/// What identifies a limit.
pub(super) fn read_name(from: &mut Reader<'_>) -> Option<LimitName> {
    Some(LimitName {
        site: from.text()?.into(),
        login: from.optional(Reader::text)?.map(Into::into),
        limit: from.text()?.into(),
        kind: match from.byte()? {
            kind if kind == ScopeKind::Limit as u8 => ScopeKind::Limit,
            kind if kind == ScopeKind::Uncounted as u8 => ScopeKind::Uncounted,
            _ => return None,
        },
    })
}

/// Whose failures they are.
pub(super) fn write_subject(subject: &Subject, to: &mut Writer) {
    to.text(&subject.site);
    to.number(subject.candidates.len() as u64);
    for candidate in &subject.candidates {
        to.hash(candidate.account.0);
        write_names(candidate, to);
        to.number(candidate.spelling);
    }
    to.text(&subject.address().to_string());
    to.text(&subject.network().to_string());
    to.optional(subject.user_agent(), Writer::text);
}

/// What is shown of a username and, for the few that have one, the name behind it: records that
/// were written when there was none are read alike.
fn write_names(candidate: &Candidate, to: &mut Writer) {
    match (&candidate.shown, &candidate.name) {
        (Some(shown), Some(name)) => {
            to.byte(2);
            to.text(shown);
            to.text(name);
        }
        (shown, _) => to.optional(shown.as_deref(), Writer::text),
    }
}

type Names = (Option<Shown>, Option<Box<Box<str>>>);

fn read_names(from: &mut Reader<'_>) -> Option<Names> {
    Some(match from.byte()? {
        0 => (None, None),
        1 => (Some(from.text()?.into()), None),
        2 => (Some(from.text()?.into()), Some(Box::new(from.text()?.into()))),
        _ => return None,
    })
}

/// Whose failures they are.
pub(super) fn read_subject(from: &mut Reader<'_>) -> Option<Subject> {
    let site = from.text()?.into();
    let candidates = from.several(|from| {
        let account = AccountId(from.hash()?);
        let (shown, name) = read_names(from)?;
        Some(Candidate { account, shown, spelling: from.number()?, name })
    })?;
    let (address, network) = (from.text()?.parse().ok()?, from.text()?.parse().ok()?);
    let mut subject = Subject::new(site, address, network);
    subject.candidates = Candidates::from(candidates);
    Some(subject.calling_itself(from.optional(Reader::text)?.map(Into::into)))
}

/// A lock by hand.
pub(super) fn write_hand(selector: &Selector, hand: &HandLock, to: &mut Writer) {
    write_selector(selector, to);
    to.moment(hand.until);
    write_said(hand, to);
}

/// What is said of a lock by hand.
pub(super) fn write_said(hand: &HandLock, to: &mut Writer) {
    to.optional(hand.reason.as_deref(), Writer::text);
    to.optional(hand.username.as_deref(), Writer::text);
}

type Said = (Option<Arc<str>>, Option<Arc<str>>);

/// What is said of a lock by hand: why, and the username.
pub(super) fn read_said(from: &mut Reader<'_>) -> Option<Said> {
    let reason = from.optional(Reader::text)?.map(Into::into);
    Some((reason, from.optional(Reader::text)?.map(Into::into)))
}

/// A lock by hand.
pub(super) fn read_hand(from: &mut Reader<'_>) -> Option<(Selector, HandLock)> {
    let selector = read_selector(from)?;
    let until = from.moment()?;
    let (reason, username) = read_said(from)?;
    Some((selector, HandLock { until, reason, username }))
}

/// What an operator means.
pub(super) fn write_selector(selector: &Selector, to: &mut Writer) {
    to.optional(selector.site.as_deref(), Writer::text);
    to.optional(selector.network.map(|network| network.to_string()), |to, text| to.text(&text));
    to.optional(selector.account.map(|account| account.0), Writer::hash);
    to.optional(selector.counter.map(|counter| counter.0), Writer::hash);
}

/// What an operator means.
pub(super) fn read_selector(from: &mut Reader<'_>) -> Option<Selector> {
    let network = |from: &mut Reader<'_>| from.text()?.parse::<IpNet>().ok();
    Some(Selector {
        site: from.optional(Reader::text)?.map(Into::into),
        network: from.optional(network)?,
        account: from.optional(Reader::hash)?.map(AccountId),
        counter: from.optional(Reader::hash)?.map(Key),
    })
}
