//! What rules call a path.

use crate::policy::route::{PathKind, PathPattern, Segment};

/// The pattern that `written` describes; otherwise what would be right.
pub(super) fn path_pattern(written: &str) -> Result<PathPattern, String> {
    if !written.starts_with('/') {
        return Err(format!("begin it with `/`, such as \"/{written}\""));
    }
    if written.contains(['?', '#']) {
        return Err("leave the query out, for which there is `when: { query: … }`".to_owned());
    }
    let kind = match written.strip_suffix('*') {
        Some(prefix) if prefix.contains(['*', '{', '}']) => {
            return Err("`*` may only stand at the end, and not beside `{name}`".to_owned());
        }
        Some(prefix) => PathKind::Prefix(prefix.into()),
        None if written.contains('*') => return Err("`*` may only stand at the end".to_owned()),
        None if written.contains(['{', '}']) => PathKind::Template(segments(written)?),
        None => PathKind::Exact(written.into()),
    };
    Ok(PathPattern { written: written.into(), kind })
}

fn segments(written: &str) -> Result<Vec<Segment>, String> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
            Ok(Segment::Name(name.into()))
        }
        None if !text.contains(['{', '}']) => Ok(Segment::Text(text.into())),
        _ => Err("`{name}` stands for everything between two slashes".to_owned()),
    };
    written.split('/').skip(1).map(segment).collect()
}
