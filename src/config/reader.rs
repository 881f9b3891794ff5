//! What every part of the configuration is read with: where files are, and the problems so far.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Position, Problem, Problems, Severity};
use super::node::{Kind, Node, shorten};
use crate::tls::trust::Trusts;

/// No file that a configuration names, nor the configuration itself, may have more bytes.
pub(super) const MOST_BYTES: u64 = 1024 * 1024;

/// Beyond this many errors or warnings nobody reads on.
const MOST_PROBLEMS: usize = 100;

/// Where files are, and the problems so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The configuration's name in messages.
    pub(super) file: Arc<str>,
    /// Where relative paths begin.
    pub(super) base: &'a Path,
    /// The configuration itself.
    pub(super) text: &'a str,
    /// Looks up an environment variable.
    pub(super) variable: fn(&str) -> Option<String>,
    /// What was loaded for TLS with upstreams.
    pub(super) trusts: Trusts,
    problems: Vec<Problem>,
    files: RefCell<Vec<PathBuf>>,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, which is called `file` and lies in `base`.
    pub(super) fn new(text: &'a str, base: &'a Path, file: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let (problems, files) = (Vec::new(), RefCell::default());
        let (file, trusts) = (file.into(), Trusts::default());
        Self { file, base, text, variable, trusts, problems, files }
    }

    /// `node` is wrong; `right` says what would be right, and may be empty.
    pub(super) fn error(&mut self, node: &Node, wrong: impl Into<Box<str>>, right: &str) {
        self.error_at(node.at, &node.path, wrong, right);
    }

    /// As [`Self::error`], for a key or a place that is no value.
    pub(super) fn error_at(
        &mut self,
        at: Position,
        key: &str,
        wrong: impl Into<Box<str>>,
        right: &str,
    ) {
        let file = Arc::clone(&self.file);
        let (key, wrong, right) = (key.into(), wrong.into(), right.into());
        let severity = Severity::Error;
        self.add(Problem { severity, file, at: Some(at), key, wrong, right });
    }

    /// `node` is legal and doubtful.
    pub(super) fn warn(&mut self, node: &Node, wrong: impl Into<Box<str>>, right: &str) {
        let file = Arc::clone(&self.file);
        let (key, wrong, right) = (node.path.clone(), wrong.into(), right.into());
        let severity = Severity::Warning;
        self.add(Problem { severity, file, at: Some(node.at), key, wrong, right });
    }

    /// How many problems there are so far.
    pub(super) const fn count(&self) -> usize {
        self.problems.len()
    }

    /// Whether there is an error among the problems since there were `before`.
    pub(super) fn has_errors_since(&self, before: usize) -> bool {
        self.problems.iter().skip(before).any(|problem| problem.severity == Severity::Error)
    }

    /// Anything else.
    pub(super) fn add(&mut self, problem: Problem) {
        let alike = self.problems.iter().filter(|other| other.severity == problem.severity);
        if alike.count() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// All problems; those of other files after the configuration's own.
    pub(super) fn finish(&mut self) -> Problems {
        Problems::new(&self.file, std::mem::take(&mut self.problems))
    }

    /// What the configuration has at `at`.
    pub(super) fn char_at(&self, at: Position) -> Option<char> {
        let line = self.text.lines().nth(at.line.checked_sub(1)?)?;
        line.chars().nth(at.column.checked_sub(1)?)
    }

    /// A number as the configuration has it, such as `1e9`; otherwise as [`Node::shown`].
    pub(super) fn shown(&self, node: &Node) -> String {
        self.digits(node).unwrap_or_else(|| node.shown())
    }

    fn digits(&self, node: &Node) -> Option<String> {
        let Kind::Number(number) = &node.kind else { return None };
        let line = self.text.lines().nth(node.at.line.checked_sub(1)?)?;
        let ends = |c: &char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
        let rest = line.chars().skip(node.at.column.checked_sub(1)?);
        let digits: String = rest.take_while(|c| !ends(c)).collect();
        // what stands there may be an alias of the number
        let same = node.written.is_none() && digits.parse::<f64>().ok() == number.as_f64();
        same.then(|| shorten(&digits))
    }

    /// Where the path of a file leads that the configuration names, and that is part of it.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        let path = self.base.join(written);
        let mut files = self.files.borrow_mut();
        if !files.contains(&path) {
            files.push(path.clone());
        }
        path
    }

    /// All files that are part of the configuration, besides itself.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// The text of a file that `node` names by `written`.
    pub(super) fn file(&mut self, node: &Node, written: &str) -> Option<String> {
        match read(&self.path(written)) {
            Ok(text) => Some(text),
            Err(why) => {
                self.error(node, format!("cannot read the file `{}`: {why}", node.shown()), "");
                None
            }
        }
    }
}

/// The text of the file at `path`, or why there is none, in words.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(file),
    });
    let read = file.and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MOST_BYTES => Err("it is larger than 1 MiB".to_owned()),
        Ok(_) => decoded(bytes),
        Err(error) => Err(in_words(&error)),
    }
}

/// UTF-8 as text, without the mark that some editors begin it with.
fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Why a file cannot be read.
pub(super) fn in_words(error: &io::Error) -> String {
    let words = [
        (io::ErrorKind::NotFound, "there is no such file"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
        (io::ErrorKind::IsADirectory, "it is a directory"),
    ];
    let known = words.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}
