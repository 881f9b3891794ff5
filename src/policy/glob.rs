//! Patterns as operators write them: `*` is any text, everything else is itself, anchored.

/// A pattern in which `*` stands for any text, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Box<[Box<[u8]>]>,
    fold_case: Case,
}

/// Whether letters that differ in case alone are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `A` and `a` are the same.
    Fold,
    /// They differ.
    Keep,
}

impl Glob {
    /// The pattern that `written` describes.
    #[must_use]
    pub fn new(written: &str, case: Case) -> Self {
        let fold = |part: &str| match case {
            Case::Fold => part.to_ascii_lowercase().into_bytes().into_boxed_slice(),
            Case::Keep => part.as_bytes().into(),
        };
        Self { parts: written.split('*').map(fold).collect(), fold_case: case }
    }

    /// Whether the whole of `text` fits. Linear in the text for each part of the pattern.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self.fold_case {
            Case::Fold => self.fits(&text.to_ascii_lowercase()),
            Case::Keep => self.fits(text),
        }
    }

    fn fits(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return text.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return text == &**first };
        let Some(mut text) = text.strip_prefix(&**first) else { return false };
        for part in middle {
            let Some(at) = find(text, part) else { return false };
            text = text.get(at + part.len()..).unwrap_or_default();
        }
        text.ends_with(last)
    }
}

/// Where `needle` first stands in `text`.
#[must_use]
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    text.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_the_pattern_is_anchored() {
        let check =
            |pattern: &str, text: &str| Glob::new(pattern, Case::Keep).matches(text.as_bytes());
        assert!(check("/app*", "/app/home"));
        assert!(!check("/app*", "/x/app"));
        assert!(check("*", ""));
        assert!(check("a*b*c", "a-b-b-c"));
        assert!(!check("a*b*c", "a-c-b"));
        assert!(check("sessionid", "sessionid"));
        assert!(!check("sessionid", "sessionid2"));
        assert!(!check("aa*aa", "aaa"), "the ends may not overlap");
        assert!(Glob::new("ABC*", Case::Fold).matches(b"abcd"));
    }
}
