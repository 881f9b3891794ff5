//! What refused clients see.

use std::sync::Arc;

use crate::policy::route::{Identify, ResponseSettings};

use super::fields::Fields;
use super::keys;
use super::node::Node;
use super::reader::Reader;
use super::scalar::{flag, text, whole};

/// What they see where the configuration says nothing.
pub(super) const fn defaults() -> ResponseSettings {
    ResponseSettings {
        status: 403,
        html: None,
        json: None,
        redirect: None,
        contact: None,
        cors_origins: Vec::new(),
        identify: Identify::Headers,
    }
}

/// The settings of the level above, key by key replaced by those of `node`.
pub(super) fn response(
    node: &Node,
    above: &ResponseSettings,
    reader: &mut Reader<'_>,
) -> ResponseSettings {
    let fields = Fields::of(node, &keys::RESPONSE, reader);
    let mut own = above.clone();
    fields.set("status", &mut own.status, status, reader);
    fields.set("identify", &mut own.identify, identify, reader);
    own.html = fields.read("html", template, reader).or(own.html);
    own.json = fields.read("json", template, reader).or(own.json);
    own.redirect = fields.read("redirect", redirect, reader).or(own.redirect);
    own.contact = fields.read("contact", contact, reader).or(own.contact);
    if fields.has("cors_origins") {
        own.cors_origins = fields.each("cors_origins", origin, reader);
    }
    own
}

fn status(node: &Node, reader: &mut Reader<'_>) -> Option<u16> {
    whole(node, 400..=599, reader)
}

fn identify(node: &Node, reader: &mut Reader<'_>) -> Option<Identify> {
    Some(if flag(node, reader)? { Identify::Headers } else { Identify::Nothing })
}

/// The text of a template file.
fn template(node: &Node, reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let path = text(node, reader)?;
    let template = reader.file(node, path)?;
    let parsed = minijinja::Environment::new().template_from_str(&template).map(|_| ());
    if let Err(error) = parsed {
        let line = error.line().unwrap_or(1);
        let why = error.detail().unwrap_or("it cannot be read").to_owned();
        reader.error(node, format!("line {line} of `{}` is no template: {why}", node.shown()), "");
        return None;
    }
    Some(template.into())
}

fn redirect(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    let written = text(node, reader)?;
    let local = written.starts_with('/') && !written.starts_with("//");
    let visible = written.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(local || is_http(written)) {
        let right = "write a path such as /locked.html or an http or https URL";
        reader.error(node, format!("`{}` leads nowhere", node.shown()), right);
        return None;
    }
    Some(written.into())
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn contact(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    text(node, reader).map(Into::into)
}

fn origin(node: &Node, reader: &mut Reader<'_>) -> Option<Box<str>> {
    let written = text(node, reader)?;
    let host = written.split_once("://").map_or("", |(_, host)| host);
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | ',');
    if written != "*" && !(is_http(written) && host.chars().all(plain)) {
        let right = "write one such as https://app.example.com, without a path, or \"*\"";
        reader.error(node, format!("`{}` is no origin", node.shown()), right);
        return None;
    }
    Some(written.to_ascii_lowercase().into())
}
