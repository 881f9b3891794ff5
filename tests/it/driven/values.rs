//! Values as the vectors write them: names, addresses, user agents, counters.

use loginward::store::select::Row;

/// What the letters of the vectors stand for.
const ADDRESSES: [(&str, &str); 4] =
    [("A", "10.1.1.1"), ("B", "10.2.2.2"), ("C", "10.2.2.3"), ("D", "10.3.3.4")];

/// The parameters' names in the vectors.
const PARAMETERS: [(&str, &str); 4] =
    [("username", "user"), ("ip_address", "ip"), ("ip_network", "net"), ("user_agent", "ua")];

/// An address: a letter of the vectors', or itself.
pub fn address(written: &str) -> &str {
    ADDRESSES.iter().find(|(letter, _)| *letter == written).map_or(written, |(_, ip)| ip)
}

/// A text: itself, or quoted pieces such as `"A"×255+"1"`; `None` for `∅`, which is no text at all.
pub fn text(written: &str) -> Option<String> {
    if written == "∅" {
        return None;
    }
    if !written.starts_with('"') {
        return Some(written.to_owned());
    }
    Some(written.split('+').map(piece).collect())
}

fn piece(written: &str) -> String {
    let (quoted, times) = match written.split_once('×') {
        Some((quoted, times)) => (quoted, times.parse().unwrap()),
        None => (written, 1),
    };
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_else(|| panic!("{written} is not quoted")).repeat(times)
}

/// A counter of the vectors, such as `user+ip=u1,A→3`, as [`counter`] shows it.
pub fn expected(written: &str) -> String {
    let (label, rest) = written.split_once('=').unwrap_or_else(|| panic!("{written}: no `=`"));
    let (values, count) = rest.rsplit_once('→').unwrap_or_else(|| panic!("{written}: no count"));
    let named = label.split('+').zip(values.split(','));
    let value = |(name, value): (&str, &str)| match name {
        "ip" | "net" => address(value).to_owned(),
        _ => text(value).unwrap_or_else(|| "∅".to_owned()),
    };
    format!("{label}={}→{count}", named.map(value).collect::<Vec<_>>().join(","))
}

/// A counter as the vectors write it.
pub fn counter(row: &Row) -> String {
    let ours = |name: &str| PARAMETERS.iter().find(|(long, _)| *long == name).unwrap().1;
    let names: Vec<_> = row.parameters.iter().map(|(name, _)| ours(name)).collect();
    let values: Vec<_> = row.parameters.iter().map(|(_, value)| value.as_str()).collect();
    format!("{}={}→{}", names.join("+"), values.join(","), row.failures)
}

/// A text as a form carries it.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let one = |byte: u8| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
