//! How values are shown that tell of people.

use std::borrow::Cow;

use super::pack::Entry;

/// How values are shown that tell of people.
#[derive(Debug, Default)]
pub struct Show;

impl Show {
    /// The text of the field `name` of `entry` as it is shown.
    #[must_use]
    pub const fn field<'a>(&self, _: &Entry<'_>, _: &str, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}
