//! The normal form of a path, and every form an upstream may take it for.
//!
//! A path is compared in all the forms that some upstream may read it in, and forwarded as it
//! came. [`PathIndex::find`] is the question; what the answer does is for the caller to say.

mod index;
mod normal;
pub(in crate::policy) mod percent;
mod query;
mod readings;

use std::fmt;

pub use self::index::{Match, MatchKind, PathIndex, is_plain};
pub use self::query::routes;
pub use self::readings::Unclear;

/// A path as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// As the operator wrote it.
    pub written: Box<str>,
    /// How it is compared.
    pub kind: PathKind,
}

/// How a path is compared; every part is in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// `/login`
    Exact(Box<str>),
    /// `/u/{name}/login`
    Template(Vec<Segment>),
    /// `/api/*`: what stands before the star
    Prefix(Box<str>),
}

/// A part of a template between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Text(Box<str>),
    /// Anything but nothing, under this name.
    Name(Box<str>),
}

impl PathPattern {
    /// The pattern that an operator wrote: a path, one with whole segments `{name}`, or one that
    /// ends in `*`. `/api/*` fits `/api` too.
    ///
    /// # Errors
    ///
    /// If it is none of these; the error says what would be right.
    pub fn parse(written: &str) -> Result<Self, PathError> {
        let fail = |problem| Err(PathError { written: written.into(), problem });
        if !written.starts_with('/') {
            return fail(Problem::NoSlash);
        }
        if written.contains(['?', '#']) {
            return fail(Problem::Query);
        }
        let stem = written.strip_suffix('*');
        let named = written.contains(['{', '}']);
        let kind = match stem {
            _ if stem.unwrap_or(written).contains('*') => return fail(Problem::InnerStar),
            Some(_) if named => return fail(Problem::NamesAndStar),
            Some(stem) => PathKind::Prefix(prefix(stem)),
            None if named => match template(written) {
                Ok(segments) => PathKind::Template(segments),
                Err(problem) => return fail(problem),
            },
            None => PathKind::Exact(normal::of_pattern(written).into()),
        };
        Ok(Self { written: written.into(), kind })
    }

    /// Whether both patterns fit the same paths, as far as their writing tells.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let (PathKind::Template(ours), PathKind::Template(theirs)) = (&self.kind, &other.kind)
        else {
            return self.kind == other.kind;
        };
        let same = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Name(_), Segment::Name(_)) => true,
            _ => a == b,
        };
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
    }

    /// Whether `raw` fits as it stands, letter by letter, up to one slash at the end.
    fn fits_as_written(&self, raw: &str) -> bool {
        fn bare(path: &str) -> &str {
            path.strip_suffix('/').unwrap_or(path)
        }
        fn segments(path: &str) -> std::str::Split<'_, char> {
            bare(path).split('/')
        }
        match &self.kind {
            PathKind::Exact(_) => bare(raw) == bare(&self.written),
            PathKind::Prefix(_) => {
                let stem = self.written.strip_suffix('*').unwrap_or(&self.written);
                raw.starts_with(stem) || stem.strip_suffix('/') == Some(raw)
            }
            PathKind::Template(_) => {
                let fits = |(part, text): (&str, &str)| {
                    part == text || (part.starts_with('{') && !text.is_empty())
                };
                segments(raw).count() == segments(&self.written).count()
                    && segments(&self.written).zip(segments(raw)).all(fits)
            }
        }
    }

    /// How many letters a path must share with the pattern: of two, the longer is more specific.
    fn weight(&self) -> usize {
        let text = |segment: &Segment| match segment {
            Segment::Text(text) => text.len() + 1,
            Segment::Name(_) => 1,
        };
        match &self.kind {
            PathKind::Exact(path) | PathKind::Prefix(path) => path.len(),
            PathKind::Template(segments) => segments.iter().map(text).sum(),
        }
    }
}

/// A slash before the star is kept, since `/api/*` does not fit `/apix`.
fn prefix(stem: &str) -> Box<str> {
    let normal = normal::of_pattern(stem);
    if stem.ends_with('/') && normal != "/" { (normal + "/").into() } else { normal.into() }
}

fn template(written: &str) -> Result<Vec<Segment>, Problem> {
    let mut segments = Vec::new();
    for part in written.split('/') {
        let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name else {
            if part.contains(['{', '}']) {
                return Err(Problem::PartialName);
            }
            let texts = normal::of_pattern(part);
            let texts = texts.split('/').filter(|text| !text.is_empty());
            segments.extend(texts.map(|text| Segment::Text(text.into())));
            continue;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Problem::BadName);
        }
        let segment = Segment::Name(name.into());
        if segments.contains(&segment) {
            return Err(Problem::DoubledName(name.into()));
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// Why a path in the configuration is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    written: Box<str>,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    NoSlash,
    Query,
    InnerStar,
    NamesAndStar,
    PartialName,
    BadName,
    DoubledName(Box<str>),
}

impl fmt::Display for PathError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = &self.written;
        match &self.problem {
            Problem::NoSlash => write!(out, "a path begins with \"/\"; write \"/{written}\""),
            Problem::Query => {
                let path = written.split(['?', '#']).next().unwrap_or_default();
                write!(out, "a path ends before \"?\" and \"#\"; write \"{path}\", and what the ")?;
                out.write_str("query must hold under \"when: { query: … }\"")
            }
            Problem::InnerStar => {
                let stem = written.split('*').next().unwrap_or_default();
                write!(
                    out,
                    "\"*\" may only stand at the end; write \"{stem}*\", or \"{{name}}\" "
                )?;
                out.write_str("for a whole segment")
            }
            Problem::NamesAndStar => {
                let stem = written.split('{').next().unwrap_or_default();
                write!(out, "a path has either {{names}} or a \"*\"; write \"{stem}*\"")
            }
            Problem::PartialName => out.write_str(
                "a {name} is a whole segment, as in \"/u/{name}/login\"; for anything else end \
                 the path with \"*\"",
            ),
            Problem::BadName => out.write_str(
                "the name between \"{\" and \"}\" is made of letters, digits and \"_\", as in \
                 \"/u/{name}/login\"",
            ),
            Problem::DoubledName(name) => {
                write!(out, "\"{{{name}}}\" stands twice; give each segment a name of its own")
            }
        }
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests;
