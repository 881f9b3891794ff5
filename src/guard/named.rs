//! What an attempt names, as it is counted: usernames, credentials, the user agent.

use http::HeaderValue;

use super::local::LocalRule;
use crate::policy::client::ClientAddr;
use crate::policy::credentials::{Basic, Username};
use crate::policy::key::{Candidate, Fingerprint, Fingerprinter, Keyer};

/// A user agent is counted by its beginning.
const AGENT_CHARS: usize = 255;
/// A username is shown by its beginning.
const SHOWN_CHARS: usize = 128;

/// A username as it is counted and shown.
pub(super) fn candidate(keyer: &Keyer, username: &Username) -> Candidate {
    let shown = String::from_utf8_lossy(&username.raw);
    Candidate {
        account: keyer.account(&username.account),
        shown: Some(cut(&shown, SHOWN_CHARS).into()),
        spelling: keyer.spelling(&username.raw),
    }
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

/// The first `chars` characters of `text`.
fn cut(text: &str, chars: usize) -> &str {
    if text.len() <= chars {
        return text;
    }
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
