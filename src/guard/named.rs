//! What an attempt names, as it is counted: usernames, credentials, the user agent.

use http::HeaderValue;

use super::local::LocalRule;
use crate::policy::client::ClientAddr;
use crate::policy::credentials::{Basic, Username};
use crate::policy::key::candidate::{AGENT_CHARS, cut};
use crate::policy::key::{Candidate, Fingerprint, Fingerprinter, Keyer};

/// A username as it is counted and shown.
pub(super) fn candidate(keyer: &Keyer, username: &Username) -> Candidate {
    Candidate::typed(keyer, &username.raw, &username.account)
}

/// What stands for Basic credentials of a client under a rule.
pub(super) fn fingerprint(
    by: &Fingerprinter,
    rule: &LocalRule,
    client: ClientAddr,
    basic: &[Basic],
) -> Fingerprint {
    let client = client.to_string();
    let mut fields = vec![rule.scope_name.as_bytes(), client.as_bytes()];
    fields.extend(basic.iter().map(Basic::secret));
    by.fingerprint("basic", &fields)
}

/// A user agent as it is counted.
pub(super) fn agent(value: &HeaderValue) -> Box<str> {
    cut(&String::from_utf8_lossy(value.as_bytes()), AGENT_CHARS).into()
}
