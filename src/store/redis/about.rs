//! What a shared counter is about, for lists: its limit, and whom it counts.

use std::sync::Arc;

use crate::clock::Moment;
use crate::policy::key::Subject;
use crate::store::records::{read_name, read_subject, write_name, write_subject};
use crate::store::register::LimitName;
use crate::wire::{Reader, Writer};

/// What a counter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What identifies its limit.
    pub name: LimitName,
    /// Which of the subject's candidates it is for.
    pub candidate: Option<u8>,
    /// Whose failures they are.
    pub subject: Arc<Subject>,
}

/// The part of it that each counter of an attempt has for itself; it comes first.
#[must_use]
pub fn own(name: &LimitName, candidate: Option<u8>) -> Vec<u8> {
    let mut writer = Writer::new(Moment(0));
    write_name(name, &mut writer);
    writer.optional(candidate, Writer::byte);
    writer.done()
}

/// The part that all counters of an attempt have in common.
#[must_use]
pub fn common(subject: &Subject) -> Vec<u8> {
    let mut writer = Writer::new(Moment(0));
    write_subject(subject, &mut writer);
    writer.done()
}

impl About {
    /// What was written; `None` where it is something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes, Moment(0));
        let about = Self {
            name: read_name(&mut reader)?,
            candidate: reader.optional(Reader::byte)?,
            subject: Arc::new(read_subject(&mut reader)?),
        };
        reader.is_done().then_some(about)
    }
}
