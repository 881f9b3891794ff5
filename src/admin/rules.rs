//! The login rules: what each has seen, what looks wrong about it, and about who clients are.

use serde_json::{Value, json};

use super::Admin;
use crate::events::Name;
use crate::guard::plan::RulePlan;
use crate::outlets::latest;
use crate::outlets::live::Wanted;
use crate::policy::outcome::{Basis, Outcome};
use crate::policy::route::Mode;

/// No more suspicions of clients are told apart.
const MOST_IDENTITY: usize = 20;

/// Every login rule in force, and what was suspicious about clients lately.
#[must_use]
pub fn rules(admin: &Admin) -> Value {
    let shared = admin.reloader.shared();
    let (plan, now) = (shared.plans.latest(), shared.store.clock().now());
    let sites = plan.sites().iter();
    let all = sites.flat_map(|site| site.rules().iter().map(move |rule| (&site.site.name, rule)));
    let rules: Vec<Value> = all
        .map(|(site, rule)| {
            let mode = match rule.rule.lockout.mode {
                Mode::Enforce => "enforce",
                Mode::Monitor => "monitor",
            };
            json!({
                "site": &**site,
                "login": &*rule.rule.name,
                "mode": mode,
                "attempts": attempts(rule),
                "lockouts": rule.metrics.lockouts.get(),
                "suspicion": rule.watch.suspicion(now),
            })
        })
        .collect();
    json!({ "rules": rules, "identity": identity(admin) })
}

/// What looks wrong about rules and clients, a sentence each.
#[must_use]
pub fn suspicions(admin: &Admin) -> Vec<String> {
    let shared = admin.reloader.shared();
    let (plan, now) = (shared.plans.latest(), shared.store.clock().now());
    let sites = plan.sites().iter();
    let all = sites.flat_map(|site| site.rules().iter().map(move |rule| (&site.site.name, rule)));
    let rules = all.filter_map(|(site, rule)| {
        let suspicion = rule.watch.suspicion(now)?;
        Some(format!("{site} {}: {suspicion}", rule.rule.name))
    });
    let clients = identity(admin).into_iter().map(|told| {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        let (times, client) = (told.get("times").and_then(Value::as_u64), text("client"));
        let times = times.unwrap_or_default();
        let peer = text("peer");
        let peer = if peer.is_empty() { String::new() } else { format!(", by way of {peer}") };
        let often = if times == 1 { String::new() } else { format!("{times} times, last ") };
        format!("client {client}{peer}: {} ({often}{})", text("reason"), text("latest"))
    });
    rules.chain(clients).collect()
}

/// What the attempts of a rule came to since the process began.
fn attempts(rule: &RulePlan) -> Value {
    let (mut success, mut ignored) = (0, 0);
    let (mut failure, mut unmatched, mut no_verdict) = (0, 0, 0);
    rule.metrics.each(|outcome, basis, count| match (outcome, basis) {
        (Outcome::Success, _) => success += count,
        (Outcome::Ignored, _) => ignored += count,
        (Outcome::Failure, Basis::Rule) => failure += count,
        (Outcome::Failure, Basis::Unmatched) => unmatched += count,
        (Outcome::Failure, Basis::NoVerdict) => no_verdict += count,
    });
    json!({
        "success": success,
        "failure": failure,
        "unmatched": unmatched,
        "no_verdict": no_verdict,
        "ignored": ignored,
    })
}

/// What was suspicious about clients among the latest events: each thing once, with how often.
fn identity(admin: &Admin) -> Vec<Value> {
    let wanted =
        Wanted { names: vec![Name::IdentitySuspect.text().to_owned()], ..Wanted::default() };
    let outlets = admin.reloader.hub().outlets();
    let latest = outlets.follow((latest::MOST, 0)).map_or_else(Vec::new, |told| told.latest);
    let mut known: Vec<(String, Value, u64)> = Vec::new();
    for told in latest.iter().rev().filter(|told| wanted.fits(told)) {
        let Ok(event) = serde_json::from_str::<Value>(told.line()) else { continue };
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let (reason, peer) = (text("reason"), text("peer"));
        let same = format!("{peer} {reason}");
        let has_room = known.len() < MOST_IDENTITY;
        match known.iter_mut().find(|(own, ..)| *own == same) {
            Some((_, _, times)) => *times += 1,
            None if has_room => known.push((same, event, 1)),
            None => {}
        }
    }
    let shown = |(_, event, times): (String, Value, u64)| {
        let member = |name: &str| event.get(name).cloned().unwrap_or_default();
        json!({
            "reason": member("reason"),
            "times": times,
            "latest": member("ts"),
            "client": member("client"),
            "peer": member("peer"),
            "site": member("site"),
        })
    };
    known.into_iter().map(shown).collect()
}
