//! The normal form of a path, and every form an upstream may take it for.

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
