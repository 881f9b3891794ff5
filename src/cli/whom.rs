//! Whom a command is about, as its flags say it.

use std::net::IpAddr;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::contact::Contact;
use super::{USAGE, complain, why};
use crate::policy::reference::Reference;

/// Whom.
#[derive(Args, Clone, Debug)]
pub struct Whom {
    /// An address, a network, a username or a reference
    #[arg(value_name = "WHAT")]
    what: Option<String>,
    /// Of this address or network; an IPv6 address means its /64
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Of this username, in every spelling
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Of this site
    #[arg(long, value_name = "SITE")]
    site: Option<String>,
    /// This counter, by the `id` that `list --json` shows
    #[arg(long, value_name = "ID")]
    counter: Option<String>,
    /// What refused this reference, from the screen of somebody who was refused
    #[arg(long = "ref", value_name = "CODE", conflicts_with_all = ["what", "ip", "username"])]
    reference: Option<String>,
}

impl Whom {
    /// What is given, by the names that the guard knows.
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("what", &self.what),
            ("ip", &self.ip),
            ("username", &self.username),
            ("site", &self.site),
            ("counter", &self.counter),
            ("ref", &self.reference),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Nothing is given.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.given().next().is_none()
    }

    /// The bare word, if it may be a reference that somebody has read out.
    #[must_use]
    pub fn bare_reference(&self) -> Option<&str> {
        self.what.as_deref().filter(|word| word.parse::<Reference>().is_ok())
    }

    /// What is given as a reference and nothing else.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// With a bare word that the guard knows as a reference in its place: it means that, and what it
    /// would mean otherwise is said.
    ///
    /// # Errors
    ///
    /// The exit status, where the guard cannot be asked, or the word is not all that is given of whom.
    pub fn understood(&self, contact: &Contact) -> Result<Self, u8> {
        let known = match self.bare_reference() {
            Some(word) if why::find(contact, word)?.is_some() => word.to_owned(),
            _ => return Ok(self.clone()),
        };
        let besides = [("--ip", &self.ip), ("--username", &self.username)];
        if let Some((flag, _)) = besides.iter().find(|(_, value)| value.is_some()) {
            complain(&format!("error: {known} is a reference, which goes without {flag}"));
            return Err(USAGE);
        }
        complain(&format!(
            "note: {known} is a reference, and means what refused that; a username that is spelled so is \
             --username {known}"
        ));
        Ok(Self { what: None, reference: Some(known), ..self.clone() })
    }

    /// As members of a body.
    #[must_use]
    pub fn members(&self) -> Map<String, Value> {
        self.given().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    }

    /// As parameters of a query.
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        self.given().map(|(name, value)| parameter(name, value)).collect()
    }
}

impl Whom {
    /// As parameters for events, which know clients by their addresses, usernames and sites, a
    /// reference left out; `None` where it is about something else.
    #[must_use]
    pub fn of_events(&self) -> Option<Vec<String>> {
        let others = self.given().filter(|(name, _)| *name != "ref");
        let known = others.map(|(name, value)| {
            let is_address = value.parse::<IpAddr>().is_ok();
            match name {
                "ip" | "what" if is_address => Some(parameter("client", value)),
                "what" if !value.contains('/') => Some(parameter("username", value)),
                "username" | "site" => Some(parameter(name, value)),
                _ => None,
            }
        });
        known.collect()
    }
}

/// A parameter of a query.
#[must_use]
pub fn parameter(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}
