//! The fields of a head or of trailers, in the order in which they came.

/// Field lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(pub Vec<(String, String)>);

impl Lines {
    /// The lines of `text`, each byte a character.
    pub fn parse(text: &str) -> Self {
        let lines = text.split("\r\n").filter(|line| !line.is_empty());
        Self(lines.filter_map(Self::field).collect())
    }

    fn field(line: &str) -> Option<(String, String)> {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that is there once; `None` where it is not there.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// Whether a field is there.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }
}
