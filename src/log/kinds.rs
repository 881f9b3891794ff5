//! What the lines of all events of one kind have in common: their level, and the fields' names.
//!
//! They are written once for each place that traces, and copied into its lines.

use std::collections::HashMap;

use tracing::Metadata;
use tracing::field::Field;

use super::line::{LineWriter, write_name};
use crate::config::LogFormat;
use crate::store::memory::BuildHashedAlready;

/// What the lines of one kind have in common.
#[derive(Debug)]
pub struct Kind {
    level: Box<str>,
    /// Of each field, with what stands around it.
    names: Box<[Box<str>]>,
}

impl Kind {
    fn new(metadata: &Metadata<'_>, format: LogFormat) -> Self {
        let mut level = String::new();
        LineWriter::new(&mut level, format, *metadata.level());
        let written = |field: Field| {
            let mut name = String::new();
            write_name(&mut name, format, field.name());
            name.into()
        };
        Self { level: level.into(), names: metadata.fields().iter().map(written).collect() }
    }

    /// The field that says how important it is.
    #[must_use]
    pub const fn level(&self) -> &str {
        &self.level
    }

    /// What stands before the value of `field`.
    #[must_use]
    pub fn name(&self, field: &Field) -> &str {
        self.names.get(field.index()).map_or("", |name| name)
    }
}

/// The kinds of events that were traced.
#[derive(Debug, Default)]
pub struct Kinds(HashMap<u64, Kind, BuildHashedAlready>);

impl Kinds {
    /// What the lines of events like this have in common, in `format`: always the same one.
    pub fn of(&mut self, metadata: &'static Metadata<'static>, format: LogFormat) -> &Kind {
        self.0.entry(number_of(metadata)).or_insert_with(|| Kind::new(metadata, format))
    }
}

/// What tells one kind of events from all others.
#[must_use]
pub fn number_of(metadata: &'static Metadata<'static>) -> u64 {
    std::ptr::from_ref(metadata).addr() as u64
}
