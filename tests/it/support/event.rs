//! A log line, read back.

/// A line of the guard's log.
#[derive(Clone, Debug, Default)]
pub struct Event(pub Vec<(String, String)>);

impl Event {
    /// Reads a line of either format.
    pub fn parse(line: &str) -> Self {
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) {
            Ok(object) => {
                let text = |value: serde_json::Value| {
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                };
                Self(object.into_iter().map(|(name, value)| (name, text(value))).collect())
            }
            Err(_) => Self(logfmt(line)),
        }
    }

    /// The value of a field; empty where it has none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// Whether it is an event of this name.
    pub fn is(&self, name: &str) -> bool {
        self.get("event") == name
    }

    /// How many events it stands for.
    pub fn times(&self) -> usize {
        self.get("repeated").parse().unwrap_or(1)
    }
}

/// `name=value name="a value"`.
fn logfmt(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted);
                let value = format!("\"{}\"", &quoted[..end]);
                (
                    serde_json::from_str(&value).unwrap_or(value),
                    quoted.get(end + 1..).unwrap_or_default(),
                )
            }
            None => {
                let end = after.find(' ').unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        fields.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    fields
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    let closes = |(at, letter): (usize, char)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at)
    };
    text.char_indices().find_map(closes).unwrap_or(text.len())
}
