//! What rules call a path: where the configuration meets the policy's patterns.

pub(super) use crate::policy::path::{PathKind, PathPattern, Segment};

/// The pattern that `written` describes; otherwise what would be right.
pub(super) fn path_pattern(written: &str) -> Result<PathPattern, String> {
    PathPattern::parse(written).map_err(|error| error.to_string())
}

/// Whether both patterns fit the same paths.
pub(super) fn same(one: &PathPattern, other: &PathPattern) -> bool {
    one.same_as(other)
}
