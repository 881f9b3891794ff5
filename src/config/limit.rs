//! Limits: what is counted, how many failures lock, for how long.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::client::Networks;
use crate::policy::lockout::{CoolOff, Forget, Limit, Parameter};

use super::fields::Fields;
use super::keys;
use super::network::networks;
use super::node::Node;
use super::reader::Reader;
use super::scalar::{choice, duration, duration_from, name, whole};

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

const PARAMETERS: &[(&str, Parameter)] = &[
    ("username", Parameter::Username),
    ("ip_address", Parameter::IpAddress),
    ("ip_network", Parameter::IpNetwork),
    ("user_agent", Parameter::UserAgent),
];

/// The limits of a configuration that names none.
pub(super) fn defaults() -> Vec<Arc<Limit>> {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let (ten, quarter, hour) = (minutes(10), minutes(15), minutes(60));
    vec![
        usual(&[Parameter::Username, Parameter::IpAddress], 5, ten, (ten, Forget::Together)),
        usual(&[Parameter::IpAddress], 50, ten, (ten, Forget::Leaky)),
        usual(&[Parameter::Username], 100, quarter, (hour, Forget::Leaky)),
    ]
}

fn usual(
    by: &[Parameter],
    failures: u32,
    cool_off: Duration,
    (forget_after, forget): (Duration, Forget),
) -> Arc<Limit> {
    Arc::new(Limit {
        name: name_of(by),
        by: by.to_vec(),
        failures: NonZeroU32::new(failures).unwrap_or(NonZeroU32::MIN),
        cool_off: CoolOff::Steps(vec![cool_off]),
        forget,
        forget_after,
        forget_lockouts_after: DAY,
        except: Networks::default(),
    })
}

fn name_of(by: &[Parameter]) -> Arc<str> {
    by.iter().map(|parameter| parameter.name()).collect::<Vec<_>>().join("+").into()
}

/// The limits that the list `node` describes.
pub(super) fn limits(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Arc<Limit>>> {
    if node.items().is_empty() {
        reader.error(node, "is empty and would count nothing", "name at least one limit");
        return None;
    }
    let mut limits: Vec<Arc<Limit>> = Vec::new();
    for item in node.items() {
        let Some(limit) = limit(item, reader) else { continue };
        if limits.iter().any(|other| other.name == limit.name) {
            let wrong = format!("there are two limits `{}`", limit.name);
            reader.error(item, wrong, "give one of them another `name`");
        }
        limits.push(Arc::new(limit));
    }
    (limits.len() == node.items().len()).then_some(limits)
}

fn limit(node: &Node, reader: &mut Reader<'_>) -> Option<Limit> {
    let fields = Fields::of(node, &keys::LIMIT, reader);
    check_needed(&fields, reader);
    let by = fields.read("by", parameters, reader);
    let failures = fields.read("failures", failures, reader);
    let cool_off = fields.read("cool_off", cool_off, reader);
    let own_name = fields.read("name", name, reader);
    let forget = fields.read("forget", forget, reader);
    let own_forget_after = fields.read("forget_after", duration, reader);
    let forget_lockouts_after = fields.read("forget_lockouts_after", duration, reader);
    let except = fields.read("except", networks, reader);
    let (mut by, failures, cool_off) = (by?, failures?, cool_off?);
    let name = own_name.map_or_else(|| name_of(&by), Into::into);
    by.sort_unstable();
    let first_step = match &cool_off {
        CoolOff::Never => None,
        CoolOff::Steps(steps) => steps.first().copied(),
    };
    Some(Limit {
        name,
        by,
        failures,
        cool_off,
        forget: forget.unwrap_or(Forget::Together),
        forget_after: own_forget_after.or(first_step)?,
        forget_lockouts_after: forget_lockouts_after.unwrap_or(DAY),
        except: except.unwrap_or_default(),
    })
}

fn check_needed(fields: &Fields<'_>, reader: &mut Reader<'_>) {
    for (key, right) in [
        ("by", "such as `by: [username, ip_address]`"),
        ("failures", "such as `failures: 5`"),
        ("cool_off", "such as `cool_off: 10m`"),
    ] {
        if fields.lacks(key) {
            reader.error(fields.node, format!("needs `{key}`"), right);
        }
    }
    if fields.get("cool_off").is_some_and(|node| node.is_text("never"))
        && fields.lacks("forget_after")
    {
        let wrong = "needs `forget_after`, for there is no cool-off to take it from";
        reader.error(fields.node, wrong, "such as `forget_after: 1h`");
    }
}

fn parameters(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Parameter>> {
    if node.items().is_empty() {
        let names: Vec<_> = PARAMETERS.iter().map(|(name, _)| *name).collect();
        reader.error(node, "is empty", &format!("name {}", keys::listed(&names)));
        return None;
    }
    let mut by: Vec<Parameter> = Vec::new();
    for item in node.items() {
        let Some(parameter) = choice(item, PARAMETERS, reader) else { continue };
        if by.contains(&parameter) {
            reader.error(item, format!("names `{}` twice", parameter.name()), "name it once");
            continue;
        }
        by.push(parameter);
    }
    (by.len() == node.items().len()).then_some(by)
}

fn failures(node: &Node, reader: &mut Reader<'_>) -> Option<NonZeroU32> {
    NonZeroU32::new(whole(node, 1..=1_000_000, reader)?)
}

fn forget(node: &Node, reader: &mut Reader<'_>) -> Option<Forget> {
    choice(node, &[("together", Forget::Together), ("leaky", Forget::Leaky)], reader)
}

fn cool_off(node: &Node, reader: &mut Reader<'_>) -> Option<CoolOff> {
    if node.is_text("never") {
        let wrong =
            "a lockout lasts until `loginward reset`, also for somebody who only forgot a password";
        reader.warn(node, wrong, "rather escalate, such as `[5m, 1h, 1d]`");
        return Some(CoolOff::Never);
    }
    if node.items().is_empty() {
        reader.error(node, "is empty", "write a duration such as 10m, or `never`");
        return None;
    }
    let step = |item| duration_from(item, SECOND, reader);
    let steps: Vec<_> = node.items().iter().map(step).collect();
    Some(CoolOff::Steps(steps.into_iter().collect::<Option<_>>()?))
}
