//! What an attempt is and what it is charged to, told to whoever wants it explained.

use std::time::Duration;

use super::Visit;
use super::plan::RulePlan;
use super::recognise::{Attempt, Writing};
use super::trace::{AttemptStory, CounterStory};
use crate::policy::key::{Charge, Claim, Counted};
use crate::policy::lockout::{CoolOff, Parameter};
use crate::policy::outcome::Format;
use crate::policy::route::Mode;
use crate::store::select::shown_network;

impl Visit<'_> {
    /// Tells what an attempt is and what it is charged to.
    pub(super) fn tell_attempt(&self, attempt: &Attempt, claim: &Claim) {
        self.tell(|story| {
            let rule = &attempt.rule.rule;
            let usernames = attempt.credentials.usernames.iter().map(|username| {
                let raw = String::from_utf8_lossy(&username.raw).into_owned();
                (raw, username.account.as_str().to_owned())
            });
            let charges = claim.charges.iter();
            story.attempt = Some(AttemptStory {
                login: rule.name.to_string(),
                mode: match rule.lockout.mode {
                    Mode::Enforce => "enforce",
                    Mode::Monitor => "monitor",
                },
                written: match attempt.writing {
                    Writing::Basic => "basic",
                    Writing::Fields(Format::Form) => "form",
                    Writing::Fields(Format::Json) => "json",
                },
                guesses: claim.guesses,
                usernames: usernames.collect(),
                counters: charges.filter_map(|c| counter(&attempt.rule, claim, c)).collect(),
                is_uncounted: claim.counted == Counted::Fallback,
            });
        });
    }
}

fn counter(rule: &RulePlan, claim: &Claim, charge: &Charge) -> Option<CounterStory> {
    let limit = rule.limit(charge.limit)?;
    let subject = &claim.subject;
    let named = charge.candidate.and_then(|at| subject.candidates.get(usize::from(at)));
    let name = || named.and_then(|named| named.shown.as_deref()).unwrap_or("(by its session)");
    let value = |parameter: &Parameter| {
        let value = match parameter {
            Parameter::Username => named.map_or("(none)", |_| name()).to_owned(),
            Parameter::IpAddress => shown_network(subject.address()),
            Parameter::IpNetwork => shown_network(subject.network()),
            Parameter::UserAgent => subject.user_agent().unwrap_or_default().to_owned(),
        };
        (parameter.name(), value)
    };
    Some(CounterStory {
        key: charge.key,
        limit: limit.name.to_string(),
        of: limit.failures.get(),
        cool_off: match &limit.cool_off {
            CoolOff::Never => "until it is reset".to_owned(),
            CoolOff::Steps(steps) => {
                let steps: Vec<String> = steps.iter().map(|step| time(*step)).collect();
                format!("for {}", steps.join(", then "))
            }
        },
        parameters: limit.by.iter().map(value).collect(),
    })
}

/// A time as the configuration has it.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if time.subsec_millis() > 0 => format!("{}ms", time.as_millis()),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
