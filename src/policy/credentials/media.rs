//! What a request says its body is.

use http::header::{CONTENT_TYPE, HeaderMap};

use super::Unreadable;
use crate::policy::account::Charset;

/// What `Content-Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declared<'a> {
    pub(super) media: Media<'a>,
    pub(super) charset: Charset,
}

/// The formats that matter for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media<'a> {
    /// A form's usual encoding; also nothing and plain text, which lax upstreams take for a
    /// form or for JSON.
    Form,
    /// JSON.
    Json,
    /// A form with this boundary.
    Multipart(&'a [u8]),
    /// Something in parts with this boundary that need not be fields of a form.
    Parts(&'a [u8]),
    /// Something else.
    Other,
}

/// What `headers` declare.
///
/// # Errors
///
/// If upstreams would disagree about it, or if it is in a charset that we do not read.
pub(super) fn declared(headers: &HeaderMap) -> Result<Declared<'_>, Unreadable> {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Ok(Declared { media: Media::Form, charset: Charset::Utf8 });
    };
    if lines.next().is_some() {
        return Err(Unreadable::Malformed("two Content-Type headers"));
    }
    let line = line.as_bytes().trim_ascii();
    if line == b"application/x-www-form-urlencoded" {
        return Ok(Declared { media: Media::Form, charset: Charset::Utf8 }); // nearly always
    }
    if !line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) || line.contains(&b',') {
        return Err(Unreadable::Malformed("a list or odd signs in Content-Type"));
    }
    let charset = charset(line)?;
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t'));
    let (essence, rest) = line.split_at(end.unwrap_or(line.len()));
    let lower = line.to_ascii_lowercase();
    // some look for it anywhere in the line
    let media = if lower.windows(10).any(|part| part == b"multipart/") {
        let boundary = boundary(rest)?;
        if essence.eq_ignore_ascii_case(b"multipart/form-data") {
            Media::Multipart(boundary)
        } else {
            Media::Parts(boundary)
        }
    } else {
        match lower.get(..essence.len()).unwrap_or_default() {
            b"" | b"application/x-www-form-urlencoded" | b"text/plain" => Media::Form,
            b"application/json" | b"text/json" => Media::Json,
            other if other.ends_with(b"+json") => Media::Json,
            _ => Media::Other,
        }
    };
    Ok(Declared { media, charset })
}

/// The charset that `line` names, however it is written and however often.
pub(super) fn charset(line: &[u8]) -> Result<Charset, Unreadable> {
    let lower = line.to_ascii_lowercase();
    let mut charset = Charset::Utf8;
    let mut rest = lower.as_slice();
    while let Some(at) = rest.windows(7).position(|part| part == b"charset") {
        rest = rest.get(at + 7..).unwrap_or_default();
        let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else {
            if rest.starts_with(b"*") {
                return Err(Unreadable::Charset);
            }
            continue;
        };
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let ends = |byte: &u8| matches!(byte, b';' | b'"' | b' ' | b'\t');
        match value.split(ends).next().unwrap_or_default() {
            b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => {}
            b"iso-8859-1" | b"iso8859-1" | b"latin1" | b"windows-1252" | b"cp1252" => {
                charset = Charset::Western;
            }
            _ => return Err(Unreadable::Charset),
        }
    }
    Ok(charset)
}

/// The one boundary among the parameters, made of signs that nobody reads differently.
fn boundary(rest: &[u8]) -> Result<&[u8], Unreadable> {
    let fail = Unreadable::Malformed("a multipart body without a plain boundary");
    let params = params(rest).ok_or(fail)?;
    let is_boundary = |param: &&Param<'_>| param.name.eq_ignore_ascii_case(b"boundary");
    let boundary = params.iter().find(is_boundary).ok_or(fail)?.value;
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'=' | b'+' | b'/' | b':')
    };
    if (1..=70).contains(&boundary.len()) && boundary.iter().all(plain) {
        Ok(boundary)
    } else {
        Err(fail)
    }
}

/// A parameter of a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Parameters that everybody reads alike: `; name=token; name="text"`, none twice, nothing
/// continued or in another charset but a file's name, nothing escaped.
pub(super) fn params(mut rest: &[u8]) -> Option<Vec<Param<'_>>> {
    const MOST: usize = 16;
    let mut params: Vec<Param<'_>> = Vec::new();
    loop {
        rest = rest.trim_ascii();
        if rest.is_empty() {
            return Some(params);
        }
        rest = rest.strip_prefix(b";")?.trim_ascii_start();
        if rest.is_empty() {
            return Some(params);
        }
        let (name, tail) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'=')?)?;
        let tail = tail.get(1..)?;
        let (value, tail) = match tail.strip_prefix(b"\"") {
            Some(quoted) => quoted_text(quoted)?,
            None => token(tail)?,
        };
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let named_plainly = !name.is_empty() && name.iter().all(plain);
        let doubled = params.iter().any(|param| param.name.eq_ignore_ascii_case(name));
        let is_file_name = name.eq_ignore_ascii_case(b"filename*");
        if doubled || params.len() == MOST || !(named_plainly || is_file_name) {
            return None;
        }
        params.push(Param { name, value });
        rest = tail;
    }
}

/// What stands before the next `;`, and the rest.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    let odd = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\');
    if value.starts_with(b"'") || value.iter().any(odd) { None } else { Some((value, rest)) }
}

/// What stands before the closing quote, and what follows it.
fn quoted_text(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b'"')?)?;
    // for some the quote is escaped, and some look for parameters within the quotes
    let ambiguous = value.ends_with(b"\\") || value.contains(&b';') && value.contains(&b'=');
    if ambiguous { None } else { Some((value, rest.get(1..)?)) }
}
