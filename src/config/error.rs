//! What is wrong with a configuration, where, and what would be right.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A place in a file; both numbers count from one, as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Position {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Whether a configuration with this problem can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it may not do what was meant.
    Warning,
}

/// One thing that is wrong or doubtful; as text, a line with all that is needed to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file it is in.
    pub file: Arc<str>,
    /// Where; `None` where it concerns the file itself.
    pub at: Option<Position>,
    /// The key, such as `sites[0].logins[1].outcome`; empty where none is to blame.
    pub key: Box<str>,
    /// What is wrong.
    pub wrong: Box<str>,
    /// What would be right; empty where that is plain.
    pub right: Box<str>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.at {
            write!(out, ":{line}:{column}")?;
        }
        out.write_str(": ")?;
        if self.severity == Severity::Warning {
            out.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.wrong)?;
        if !self.right.is_empty() {
            write!(out, "; {}", self.right)?;
        }
        Ok(())
    }
}

/// All problems of a configuration in the order of its lines; as text, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `problems`, sorted; those of other files than `main` come last.
    pub(super) fn new(main: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (*problem.file != *main, problem.at));
        Self(problems)
    }

    /// The file at `path` cannot be read, as `why` says.
    #[must_use]
    pub fn unreadable(path: &Path, why: &str) -> Self {
        let file = path.display().to_string();
        let (severity, key, right) = (Severity::Error, "".into(), "".into());
        let wrong = why.into();
        Self(vec![Problem { severity, file: file.into(), at: None, key, wrong, right }])
    }

    /// The configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The problems themselves.
    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, problem) in self.iter().enumerate() {
            let separator = if count == 0 { "" } else { "\n" };
            write!(out, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
