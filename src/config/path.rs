//! What rules call a path: where the configuration meets the policy's patterns.

pub(super) use crate::policy::route::{PathKind, PathPattern, Segment};

/// The pattern that `written` describes; otherwise what would be right.
pub(super) fn path_pattern(written: &str) -> Result<PathPattern, String> {
    if !written.starts_with('/') {
        return Err(format!("a path begins with \"/\"; write \"/{written}\""));
    }
    if written.contains(['?', '#']) {
        let path = written.split(['?', '#']).next().unwrap_or_default();
        return Err(format!(
            "a path ends before \"?\" and \"#\"; write \"{path}\", and what the query must hold \
             under \"when: {{ query: … }}\""
        ));
    }
    let stem = written.strip_suffix('*');
    if stem.unwrap_or(written).contains('*') {
        let stem = written.split('*').next().unwrap_or_default();
        return Err(format!(
            "\"*\" may only stand at the end; write \"{stem}*\", or \"{{name}}\" for a whole segment"
        ));
    }
    let kind = match stem {
        Some(stem) => PathKind::Prefix(stem.into()),
        None if written.contains(['{', '}']) => PathKind::Template(segments(written)?),
        None => PathKind::Exact(written.into()),
    };
    Ok(PathPattern { written: written.into(), kind })
}

fn segments(written: &str) -> Result<Vec<Segment>, String> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        Some(name) => Ok(Segment::Name(name.into())),
        None if !text.contains(['{', '}']) => Ok(Segment::Text(text.into())),
        None => Err("a {name} is a whole segment, as in \"/u/{name}/login\"; for anything else \
                     end the path with \"*\""
            .to_owned()),
    };
    written.split('/').skip(1).map(segment).collect()
}

/// Whether both patterns fit the same paths.
pub(super) fn same(one: &PathPattern, other: &PathPattern) -> bool {
    one.kind == other.kind
}
