//! Multipart forms (RFC 7578), read strictly: what parsers take differently is refused.

use super::Unreadable;
use super::body::{Field, Place, Sink, Value};
use super::field::FoundName;
use super::media::{charset, params};

/// What the parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Fields of a form, every one.
    Fields,
    /// Anything; those that are named like fields are.
    Any,
}

/// Hands every field of `body` to `sink`, those with a file name too: some upstreams take them
/// for fields all the same.
///
/// # Errors
///
/// If anything about it is such that parsers disagree.
pub(super) fn read(
    body: &[u8],
    (boundary, parts): (&[u8], Parts),
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    let delimiter = [b"--", boundary].concat();
    let begins = Unreadable::Malformed("a multipart body does not begin with its boundary");
    let mut rest = body.strip_prefix(&*delimiter).ok_or(begins)?;
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return match end {
                b"" | b"\r\n" => Ok(()),
                _ => Err(Unreadable::Malformed("something behind the end of a multipart body")),
            };
        }
        let broken = Unreadable::Malformed("a broken boundary in a multipart body");
        rest = rest.strip_prefix(b"\r\n").ok_or(broken)?;
        let (part, tail) = split_at_delimiter(rest, &delimiter)?;
        read_part(part, parts, name, sink)?;
        rest = tail;
    }
}

/// The boundary of a body that looks like a multipart form, whatever it is said to be.
pub(super) fn sniff(body: &[u8]) -> Option<&[u8]> {
    let line = body.strip_prefix(b"--")?.split(|byte| *byte == b'\n').next()?;
    let boundary = line.strip_suffix(b"\r").unwrap_or(line);
    let disposition = b"content-disposition";
    let start = body.get(..4096).unwrap_or(body);
    let has = start.windows(disposition.len()).any(|part| part.eq_ignore_ascii_case(disposition));
    ((1..=70).contains(&boundary.len()) && has).then_some(boundary)
}

/// What stands before the next line that begins with `delimiter`, and what follows it.
fn split_at_delimiter<'a>(
    text: &'a [u8],
    delimiter: &[u8],
) -> Result<(&'a [u8], &'a [u8]), Unreadable> {
    let starts_line = |(at, byte): &(usize, &u8)| {
        matches!(byte, b'\r' | b'\n')
            && text.get(at + 1..).is_some_and(|line| line.starts_with(delimiter))
    };
    let Some((at, _)) = text.iter().enumerate().find(starts_line) else {
        return Err(Unreadable::Malformed("a multipart body without its end"));
    };
    let (part, rest) = text.split_at_checked(at + 1).unwrap_or((text, &[]));
    // some take a line feed alone for the end of a line
    let bare = Unreadable::Malformed("a bare line end before a boundary");
    let part = part.strip_suffix(b"\r\n").ok_or(bare)?;
    Ok((part, rest.get(delimiter.len()..).unwrap_or_default()))
}

fn read_part(
    part: &[u8],
    parts: Parts,
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    let unended = Unreadable::Malformed("a part without a blank line below its head");
    let (head, value) = match part.strip_prefix(b"\r\n") {
        Some(value) => (&[][..], value),
        None => {
            let end = part.windows(4).position(|end| end == b"\r\n\r\n").ok_or(unended)?;
            let (head, value) = part.split_at_checked(end).ok_or(unended)?;
            (head, value.get(4..).unwrap_or_default())
        }
    };
    let head = read_head(head)?;
    for field in head.others.iter().flatten() {
        // Rack takes these for names where there is none
        name.set(field);
        sink.field(Field { place: Place::Body, name, value: Value::Plain(value) });
    }
    match head.name {
        Some(field) => {
            let mut add = |field: &[u8]| {
                name.set(field);
                sink.field(Field { place: Place::Body, name, value: Value::Plain(value) });
            };
            add(field);
            if field.contains(&b'\\') {
                // for some a backslash is one, for others it escapes what follows
                let unescaped: Vec<u8> =
                    field.iter().copied().filter(|byte| *byte != b'\\').collect();
                add(&unescaped);
            }
            Ok(())
        }
        None if parts == Parts::Any => Ok(()),
        None => Err(Unreadable::Malformed("a part of a form without a name")),
    }
}

/// What the head of a part says of names.
struct PartHead<'a> {
    /// The name of a form's field.
    name: Option<&'a [u8]>,
    /// What else some upstream takes for a name, where there is none or an empty one.
    others: [Option<&'a [u8]>; 3],
}

/// What a part with this head is called.
fn read_head(mut head: &[u8]) -> Result<PartHead<'_>, Unreadable> {
    let odd = Unreadable::Malformed("an odd head of a part");
    let (mut disposition, mut id, mut media) = (None, None, None);
    while !head.is_empty() {
        let end = head.windows(2).position(|end| end == b"\r\n").unwrap_or(head.len());
        let (line, rest) = head.split_at_checked(end).ok_or(odd)?;
        head = rest.get(2..).unwrap_or_default();
        let end = line.iter().position(|byte| *byte == b':').ok_or(odd)?;
        let (key, value) = line.split_at_checked(end).ok_or(odd)?;
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is_odd = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if key.is_empty() || !key.iter().all(is_token) || value.iter().any(is_odd) {
            return Err(odd);
        }
        match &*key.to_ascii_lowercase() {
            b"content-disposition" if disposition.replace(value).is_some() => return Err(odd),
            b"content-transfer-encoding" => is_plain(value)?,
            b"content-type" => {
                is_single(value)?;
                media = Some(value);
            }
            b"content-id" => id = Some(value),
            _ => {}
        }
    }
    let (name, attached) = disposition.map_or(Ok((None, None)), field_name)?;
    let is_named = name.is_some_and(|name| !name.is_empty());
    let others = if is_named { [None; 3] } else { [attached, id, media] };
    Ok(PartHead { name, others })
}

/// The name of a form's field, and that of what is none.
type Names<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn field_name(disposition: &[u8]) -> Result<Names<'_>, Unreadable> {
    let odd = Unreadable::Malformed("an odd Content-Disposition");
    let end = disposition.iter().position(|byte| *byte == b';').unwrap_or(disposition.len());
    let (kind, rest) = disposition.split_at_checked(end).ok_or(odd)?;
    let params = params(rest).ok_or(odd)?;
    let name = params.iter().find(|param| param.name.eq_ignore_ascii_case(b"name"));
    let name = name.map(|param| param.value);
    if name.is_some_and(|name| name.starts_with(b"=?")) {
        return Err(Unreadable::Malformed("an encoded name of a part")); // RFC 2047
    }
    let is_field = kind.trim_ascii().eq_ignore_ascii_case(b"form-data");
    Ok(if is_field { (name, None) } else { (None, name) })
}

fn is_plain(encoding: &[u8]) -> Result<(), Unreadable> {
    match &*encoding.to_ascii_lowercase() {
        b"7bit" | b"8bit" | b"binary" => Ok(()),
        _ => Err(Unreadable::Malformed("a part in a transfer encoding")),
    }
}

/// Parts within a part are fields for some and a file for others.
fn is_single(media: &[u8]) -> Result<(), Unreadable> {
    if media.to_ascii_lowercase().starts_with(b"multipart") {
        return Err(Unreadable::Malformed("parts within a part"));
    }
    charset(media).map(|_| ())
}
