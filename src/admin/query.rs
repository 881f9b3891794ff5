//! The parameters of a request's query: each once, and only those that are known.

use std::ops::RangeInclusive;

use super::reply::Problem;

/// The parameters of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of `query`, which may be those that are `known`.
    ///
    /// # Errors
    ///
    /// When there are others, one is there twice, or it is not UTF-8 in percent-encoding.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(Problem::bad(format!(
                    "there is no parameter {name:?}; known: {known}"
                )));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(Problem::bad(format!("the parameter {name:?} is there twice")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; an empty one is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.written(name).filter(|value| !value.is_empty())
    }

    /// The value of a parameter, also an empty one.
    #[must_use]
    pub fn written(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A number in `range`, or else the `usual` one.
    ///
    /// # Errors
    ///
    /// When it is no such number.
    pub fn number(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
        usual: usize,
    ) -> Result<usize, Problem> {
        let Some(written) = self.get(name) else { return Ok(usual) };
        let is_plain = written.bytes().all(|byte| byte.is_ascii_digit());
        let number = written.parse().ok().filter(|number| is_plain && range.contains(number));
        number.ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            Problem::bad(format!("`{name}` is a number from {from} to {to}"))
        })
    }

    /// What stands for one of these words, or for the first where none is given.
    ///
    /// # Errors
    ///
    /// When it is another word.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)], usual: T) -> Result<T, Problem> {
        let Some(written) = self.get(name) else { return Ok(usual) };
        let known = words.iter().find(|(word, _)| *word == written);
        known.map(|(_, meant)| *meant).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Problem::bad(format!("`{name}` is one of {}", words.join(", ")))
        })
    }
}

/// Text in percent-encoding, in which `+` is a blank, as forms have it.
///
/// # Errors
///
/// When an escape is broken, or it is not UTF-8.
pub fn decoded(text: &str) -> Result<String, Problem> {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    let mut percents = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if !percents.all(|(at, _)| is_escape(at)) {
        return Err(Problem::bad("a `%` is not followed by two hexadecimal digits; write `%25`"));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::bad("what is percent-encoded is not UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Query, Problem> {
        Query::parse(Some(query), &["a", "b c"])
    }

    #[test]
    fn parameters_are_decoded_and_known_and_there_once() {
        let query = of("a=x%20y%2Bz+&b%20c=%C3%A9").unwrap();
        assert_eq!((query.get("a"), query.get("b c")), (Some("x y+z "), Some("é")));
        assert_eq!(of("a=&&").unwrap().get("a"), None);
        for wrong in ["a=1&a=2", "d=1", "a=%", "a=%2", "a=%zz", "a=%ff", "%61%=1", "a=1&%61=2"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_digits_within_its_range() {
        let number = |text: &str| of(&format!("a={text}")).unwrap().number("a", 1..=1000, 100);
        assert_eq!(number("7").unwrap(), 7);
        assert_eq!(number("").unwrap(), 100);
        for wrong in ["0", "1001", "-1", "%2B1", "1e2", "99999999999999999999999", "x", "%D9%A1"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
