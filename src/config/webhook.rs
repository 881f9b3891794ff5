//! Where events are posted.

use std::time::Duration;

use http::Uri;

use super::UpstreamAddr;
use super::UpstreamServer;
use super::address::authority;
use super::fields::Fields;
use super::keys;
use super::node::Node;
use super::outlets::chosen;
use super::reader::Reader;
use super::scalar::{duration, name, text};
use super::upstream::{file, load_trust};
use crate::outlets::settings::{Chosen, Secret, Webhook};
use crate::outlets::sign::key_of;
use crate::tls::trust::{Offer, TrustSettings};

/// What is posted where nothing is said: what somebody may want to act on.
const USUAL: [&str; 4] = ["identity_suspect", "locked_by_hand", "locked_out", "rule_suspect"];
/// Shorter secrets are guessed.
const SHORTEST_SECRET: usize = 16;

/// All webhooks.
pub(super) fn webhooks(fields: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<Webhook> {
    let mut webhooks: Vec<Webhook> = Vec::new();
    for node in fields.get("webhooks").map_or(&[][..], Node::items) {
        let Some(webhook) = webhook(node, reader) else { continue };
        if webhooks.iter().any(|other| other.name == webhook.name) {
            let wrong = format!("there are two webhooks of the name `{}`", webhook.name);
            reader.error(node, wrong, "give each a `name` of its own");
        }
        webhooks.push(webhook);
    }
    webhooks
}

fn webhook(node: &Node, reader: &mut Reader<'_>) -> Option<Webhook> {
    let fields = Fields::of(node, &keys::WEBHOOK, reader);
    for (key, right) in [
        ("url", "say where, such as `url: \"https://hooks.example.com/loginward\"`"),
        ("secret", "say what is signed with, such as `secret: \"${file:webhook.secret}\"`"),
    ] {
        if fields.lacks(key) {
            reader.error(node, format!("needs `{key}`"), right);
        }
    }
    let (mut timeout, mut retry_for) = (Duration::from_secs(10), Duration::from_hours(1));
    fields.set("timeout", &mut timeout, duration, reader);
    fields.set("retry_for", &mut retry_for, duration, reader);
    let own = fields.read("name", |node, r| name(node, r).map(Box::from), reader);
    let secret = fields.read("secret", secret, reader);
    let usual = || Chosen::Only(USUAL.to_vec());
    let events = fields.read("events", chosen, reader).unwrap_or_else(usual);
    let ca = fields.read("ca", file, reader);
    let place = fields.read("url", |node, reader| place(node, ca, reader), reader)?;
    let Place { server, host, target } = place;
    let name = own.unwrap_or_else(|| host.clone());
    Some(Webhook { name, server, host, target, secret: secret?, events, timeout, retry_for })
}

fn secret(node: &Node, reader: &mut Reader<'_>) -> Option<Secret> {
    let key = key_of(text(node, reader)?).filter(|key| key.len() >= SHORTEST_SECRET);
    if key.is_none() {
        let right = "write 16 bytes or more that nobody guesses; behind `whsec_`, as base64";
        reader.error(node, "is no secret to sign with", right);
    }
    key.map(|key| Secret(key.into()))
}

struct Place {
    server: UpstreamServer,
    host: Box<str>,
    target: Uri,
}

/// A URL, of which messages show nothing: it may be secret.
fn place(node: &Node, ca: Option<std::path::PathBuf>, reader: &mut Reader<'_>) -> Option<Place> {
    let Some((is_tls, rest)) = scheme(text(node, reader)?) else {
        let right = "write one such as \"https://hooks.example.com/loginward\"";
        reader.error(node, "is no URL", right);
        return None;
    };
    let (host, target) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let target = target.parse::<Uri>().ok().filter(|_| !target.contains('#'));
    let address = authority(host, if is_tls { 443 } else { 80 });
    let (address, target) = match (address, target) {
        (Ok(address), Some(target)) => (address, target),
        (Ok(_), None) => {
            reader.error(node, "is no URL", "encode what is no letter in it");
            return None;
        }
        (Err(wrong), _) => {
            reader.error(node, wrong, "");
            return None;
        }
    };
    let tls = if is_tls {
        let settings = TrustSettings { ca, ..TrustSettings::default() };
        Some(load_trust(node, &settings, reader)?)
    } else {
        doubt(node, &address, reader);
        None
    };
    let server = UpstreamServer { address, tls, offer: Offer::Http1 };
    Some(Place { server, host: host.into(), target })
}

fn scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((false, rest)),
        "https" => Some((true, rest)),
        _ => None,
    }
}

/// Events go over the network in the clear, unless it is this machine.
fn doubt(node: &Node, address: &UpstreamAddr, reader: &mut Reader<'_>) {
    let is_here = match address {
        UpstreamAddr::Tcp { host, .. } => {
            let is_loopback = |address: std::net::IpAddr| address.is_loopback();
            &**host == "localhost" || host.parse().is_ok_and(is_loopback)
        }
        UpstreamAddr::Unix(_) => true,
    };
    if !is_here {
        let wrong = "whoever is on the way reads the events";
        reader.warn(node, wrong, "write `https://` if the server speaks it");
    }
}
