//! The fields of a request, in every format in which some upstream may look for them.

use std::borrow::Cow;

use super::field::FoundName;
use super::form::{self, Wide};
use super::json::{self, Beginning};
use super::media::{Declared, Media, declared};
use super::multipart::{self, Parts};
use super::{Request, Unreadable};
use crate::policy::account::Charset;
use crate::policy::coding::Coding;

/// A field that was found.
pub(super) struct Field<'a> {
    pub(super) place: Place,
    pub(super) name: &'a FoundName,
    pub(super) value: Value<'a>,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Query,
    /// A body that is a form.
    Body,
    /// A body that is JSON.
    Json,
    Cookie,
}

/// The value of a field, borrowed, as passwords are not to be copied about.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// URL-encoded.
    Encoded(&'a [u8]),
    /// As it is.
    Plain(&'a [u8]),
}

impl<'a> Value<'a> {
    /// What nearly everybody takes it for.
    pub(super) fn decode(self) -> Cow<'a, [u8]> {
        match self {
            Self::Encoded(text) => form::decode(text, Wide::Leave),
            Self::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// What ASP takes it for, if that is something else.
    pub(super) fn decode_wide(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Encoded(text) if form::is_odd(text) => Some(form::decode(text, Wide::Read)),
            Self::Encoded(_) | Self::Plain(_) => None,
        }
    }
}

/// Whoever wants to know the fields of a request.
pub(super) trait Sink {
    /// There is this field.
    fn field(&mut self, field: Field<'_>);

    /// What follows is another reading of what was read already: no upstream takes both.
    fn next_reading(&mut self);
}

/// Hands the fields of the query to `sink`.
pub(super) fn walk_query(request: &Request<'_>, name: &mut FoundName, sink: &mut dyn Sink) {
    if let Some(query) = request.query {
        form::read(query.as_bytes(), Place::Query, name, sink);
        sink.next_reading();
    }
}

/// Hands the fields of cookies to `sink`.
pub(super) fn walk_cookies(request: &Request<'_>, name: &mut FoundName, sink: &mut dyn Sink) {
    for line in request.headers.get_all(http::header::COOKIE) {
        form::read_cookies(line.as_bytes(), name, sink);
    }
}

/// A body that is there, and how it may be read.
pub(super) struct Body<'a> {
    raw: &'a [u8],
    /// `raw` without its coding, where it has one.
    decoded: Option<Cow<'a, [u8]>>,
    declared: Declared<'a>,
}

/// The body of `request`, if there is one, decoded to at most `cap` bytes.
///
/// # Errors
///
/// If it cannot be decoded, or does not say clearly what it is.
pub(super) fn open<'a>(request: &Request<'a>, cap: usize) -> Result<Option<Body<'a>>, Unreadable> {
    let raw = request.body.unwrap_or_default();
    if raw.is_empty() {
        return Ok(None);
    }
    let declared = declared(request.headers)?;
    let coding = Coding::of(request.headers)?;
    let decoded = Some(coding.decode(raw, cap)?).filter(|_| coding != Coding::Identity);
    Ok(Some(Body { raw, decoded, declared }))
}

impl Body<'_> {
    /// What it says its text is in.
    pub(super) const fn charset(&self) -> Charset {
        self.declared.charset
    }

    /// Hands its fields to `sink`.
    ///
    /// # Errors
    ///
    /// If some upstream might read what we cannot.
    pub(super) fn walk(&self, name: &mut FoundName, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let media = self.declared.media;
        let Some(decoded) = &self.decoded else { return walk(self.raw, media, name, sink) };
        walk_undecoded(self.raw, media, name, sink)?;
        walk(decoded, media, name, sink)
    }
}

/// Most upstreams do not decode bodies: they find a form between the noise of the coding.
fn walk_undecoded(
    raw: &[u8],
    media: Media<'_>,
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    if let Media::Multipart(boundary) | Media::Parts(boundary) = media
        && raw.windows(boundary.len()).any(|part| part == boundary)
    {
        return Err(Unreadable::Malformed("a boundary in a coded body"));
    }
    form::read(raw, Place::Body, name, sink);
    sink.next_reading();
    Ok(())
}

fn walk(
    body: &[u8],
    media: Media<'_>,
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    match media {
        Media::Multipart(boundary) => {
            return multipart::read(body, (boundary, Parts::Fields), name, sink);
        }
        Media::Parts(boundary) => {
            return multipart::read(body, (boundary, Parts::Any), name, sink);
        }
        Media::Json => json::read(body, name, sink)?,
        Media::Form | Media::Other => walk_sniffed(body, media, name, sink)?,
    }
    sink.next_reading();
    form::read(body, Place::Body, name, sink);
    Ok(())
}

/// Reads what looks like another format than the declared one. Where an upstream is known to go
/// by looks, what cannot be read is refused.
fn walk_sniffed(
    body: &[u8],
    media: Media<'_>,
    name: &mut FoundName,
    sink: &mut dyn Sink,
) -> Result<(), Unreadable> {
    match json::beginning(body) {
        Beginning::Wide => return Err(Unreadable::Malformed("JSON in UTF-16 or UTF-32")),
        Beginning::Json
            if !json::read_leading(body, name, sink)
                && (media == Media::Form || json::is_likely(body)) =>
        {
            return Err(Unreadable::Malformed("a body that begins like JSON and is none"));
        }
        Beginning::Json | Beginning::Other => {}
    }
    if let Some(boundary) = multipart::sniff(body) {
        let read = multipart::read(body, (boundary, Parts::Any), name, sink);
        return if media == Media::Form { read } else { Ok(()) };
    }
    Ok(())
}
