//! Why a guard did not start, and what may be the cause.

use std::borrow::Cow;
use std::io;

/// Why a guard cannot start.
#[derive(Debug)]
pub struct StartError {
    what: String,
    source: io::Error,
    hint: Cow<'static, str>,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.what, self.source)?;
        match &*self.hint {
            "" => Ok(()),
            hint => write!(out, " ({hint})"),
        }
    }
}

/// What may be the cause of what has to do with addresses.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
const fn hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "is another guard, or the application itself, there?",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "",
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl StartError {
    /// `what` failed because of `source`.
    #[must_use]
    pub fn new(what: impl Into<String>, source: io::Error) -> Self {
        let hint = hint(source.kind()).into();
        Self { what: what.into(), source, hint }
    }

    /// The same with what would be right, where it is a right that is missing.
    #[must_use]
    pub fn if_denied(self, right: impl Into<Cow<'static, str>>) -> Self {
        let is_denied = self.source.kind() == io::ErrorKind::PermissionDenied;
        if is_denied { Self { hint: right.into(), ..self } } else { self }
    }
}
