//! The configuration in force, without its secrets.

use serde_json::{Value, json};

use super::Admin;
use crate::config::Settings;
use crate::guard::plan::{Plan, RulePlan};
use crate::policy::lockout::{CoolOff, Forget, Limit};
use crate::policy::route::Mode;

/// The configuration in force: as it was written, and what it comes to with the defaults.
#[must_use]
pub fn config(admin: &Admin) -> Value {
    let plan = admin.reloader.shared().plans.latest();
    json!({
        "file": admin.config(),
        "written": *plan.settings.written,
        "in_force": in_force(&plan),
    })
}

fn in_force(plan: &Plan) -> Value {
    let settings = &plan.settings;
    let sites = plan.sites().iter().map(|site| {
        let logins: Vec<Value> = site.rules().iter().map(|rule| login(rule)).collect();
        json!({ "name": &*site.site.name, "logins": logins })
    });
    let mut shown = process(settings);
    if let Some(members) = shown.as_object_mut() {
        members.insert("sites".to_owned(), sites.collect());
    }
    shown
}

/// What is said of the process.
fn process(settings: &Settings) -> Value {
    let (timeouts, bounds) = (&settings.timeouts, &settings.bounds);
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "workers": settings.workers,
        "store": {
            "max_counters": settings.store.max_counters,
            "max_lockouts": settings.store.max_lockouts,
        },
        "client_address": {
            "header": settings.clients.header.as_str(),
            "ipv6_prefix": settings.clients.address.v6,
            "network": {
                "ipv4_prefix": settings.clients.network.v4,
                "ipv6_prefix": settings.clients.network.v6,
            },
        },
        "log": { "level": settings.log.level.as_str().to_lowercase() },
        "shutdown_ms": {
            "delay": ms(settings.shutdown.delay),
            "deadline": ms(settings.shutdown.deadline),
        },
        "timeouts_ms": {
            "handshake": ms(timeouts.handshake),
            "head": ms(timeouts.head),
            "idle": ms(timeouts.idle),
            "login_body": ms(timeouts.login_body),
            "body": ms(timeouts.body),
            "send": ms(timeouts.send),
            "connect": ms(timeouts.connect),
            "response_head": ms(timeouts.response_head),
            "verdict": ms(timeouts.verdict),
            "exchange": ms(timeouts.exchange),
            "upstream_idle": ms(timeouts.upstream_idle),
            "upstream_idle_unsafe": ms(timeouts.upstream_idle_unsafe),
        },
        "bounds": {
            "headers": bounds.headers,
            "head": bounds.head,
            "target": bounds.target,
            "connections": bounds.connections,
        },
    })
}

/// How a login's failures are counted.
fn login(rule: &RulePlan) -> Value {
    let lockout = &rule.rule.lockout;
    let limits: Vec<Value> = lockout.limits.iter().map(|limit| shown(limit)).collect();
    json!({
        "name": &*rule.rule.name,
        "mode": if lockout.mode == Mode::Monitor { "monitor" } else { "enforce" },
        "limits": limits,
        "wait_ms": u64::try_from(lockout.wait.as_millis()).unwrap_or(u64::MAX),
        "max_body": rule.rule.max_body,
    })
}

fn shown(limit: &Limit) -> Value {
    let by: Vec<&str> = limit.by.iter().map(|parameter| parameter.name()).collect();
    let cool_off = match &limit.cool_off {
        CoolOff::Never => json!("never"),
        CoolOff::Steps(steps) => steps.iter().map(|step| json!(step.as_secs_f64())).collect(),
    };
    json!({
        "name": &*limit.name,
        "by": by,
        "failures": limit.failures,
        "cool_off_s": cool_off,
        "forget_after_s": limit.forget_after.as_secs_f64(),
        "forget": if limit.forget == Forget::Leaky { "leaky" } else { "together" },
    })
}
