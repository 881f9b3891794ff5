//! Which patterns a path fits, without looking at each of them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::normal::{self, Slashes};
use super::readings::{self, Unclear};
use super::{PathKind, PathPattern, Segment};

/// Patterns and what they stand for.
#[derive(Clone, Debug)]
pub struct PathIndex<T> {
    patterns: Vec<(PathPattern, T)>,
    templates: Vec<(usize, Vec<Segment>)>,
    by_path: HashMap<Box<str>, Vec<Entry>>,
    /// Whether a key of `by_path` has this length; most paths need no look-up at all.
    lengths: Vec<bool>,
    /// The lengths of prefixes that end within a segment.
    cut_lengths: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pattern: usize,
    role: Role,
}

/// What the key of an entry is to its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The path.
    Whole,
    /// The path of the script without its extension.
    Stem,
    /// What stands before `/*`.
    Folder,
    /// What stands before `*` within a segment.
    Cut,
}

/// A pattern that a path fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<T> {
    /// What the pattern stands for.
    pub value: T,
    /// How well the path fits.
    pub kind: MatchKind,
    /// What stands for each `{name}`, decoded; several for one name where readings differ.
    pub names: Vec<(Box<str>, Box<[u8]>)>,
}

/// How a path fits a pattern, the most specific way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchKind {
    /// It is the path as written, up to a slash at the end.
    Exact,
    /// It is one of the template as written, up to a slash at the end.
    Template,
    /// It begins as written.
    Prefix,
    /// Some upstream may take it for one that fits.
    Respelled,
    /// Some upstream may take it for one that fits, with a segment (`/login/x`) or a suffix
    /// (`/login.json`) added.
    Extended,
}

/// A reading, before its letters are folded and after.
struct Reading<'a> {
    cased: &'a str,
    folded: Cow<'a, str>,
}

impl<'a> Reading<'a> {
    fn new(cased: &'a str) -> Self {
        Self { cased, folded: normal::fold_case(cased) }
    }
}

/// A pattern that some reading fits.
struct Hit {
    pattern: usize,
    kind: MatchKind,
    names: Vec<(Box<str>, Box<[u8]>)>,
}

impl<T> Default for PathIndex<T> {
    fn default() -> Self {
        Self::new([])
    }
}

impl<T> PathIndex<T> {
    /// An index of `patterns`; of two that fit equally well the earlier one comes first.
    pub fn new(patterns: impl IntoIterator<Item = (PathPattern, T)>) -> Self {
        let mut index = Self {
            patterns: patterns.into_iter().collect(),
            templates: Vec::new(),
            by_path: HashMap::new(),
            lengths: Vec::new(),
            cut_lengths: Vec::new(),
        };
        for at in 0..index.patterns.len() {
            index.insert(at);
        }
        index
    }

    fn insert(&mut self, pattern: usize) {
        let Some((PathPattern { kind, .. }, _)) = self.patterns.get(pattern) else { return };
        match kind.clone() {
            PathKind::Template(segments) => self.templates.push((pattern, segments)),
            PathKind::Exact(path) => {
                if let Some(stem) = normal::drop_script_extension(&path) {
                    self.insert_key(stem, Entry { pattern, role: Role::Stem });
                }
                if let Some(path) = normal::drop_front_controllers(&path) {
                    self.insert_key(&path, Entry { pattern, role: Role::Whole });
                }
                self.insert_key(&path, Entry { pattern, role: Role::Whole });
            }
            PathKind::Prefix(stem) => match stem.strip_suffix('/') {
                Some(folder) => self.insert_key(folder, Entry { pattern, role: Role::Folder }),
                None => {
                    self.insert_key(&stem, Entry { pattern, role: Role::Cut });
                    if !self.cut_lengths.contains(&stem.len()) {
                        self.cut_lengths.push(stem.len());
                    }
                }
            },
        }
    }

    fn insert_key(&mut self, key: &str, entry: Entry) {
        if self.lengths.len() <= key.len() {
            self.lengths.resize(key.len() + 1, false);
        }
        if let Some(there) = self.lengths.get_mut(key.len()) {
            *there = true;
        }
        self.by_path.entry(key.into()).or_default().push(entry);
    }

    fn entries(&self, key: Option<&str>) -> &[Entry] {
        key.filter(|key| self.lengths.get(key.len()).is_some_and(|there| *there))
            .and_then(|key| self.by_path.get(key))
            .map_or(&[], Vec::as_slice)
    }

    /// Adds what one reading of `raw` fits.
    fn look_up(&self, raw: &str, reading: &Reading<'_>, hits: &mut Vec<Hit>) {
        let key = &*reading.folded;
        let mut add = |entry: &Entry, loose| {
            self.add(hits, raw, entry.pattern, loose);
        };
        let ends = key.bytes().enumerate().take(self.lengths.len());
        let ends = ends.filter(|(_, byte)| matches!(byte, b'/' | b'.'));
        let above =
            |(end, byte)| self.entries(key.get(..end)).iter().map(move |entry| (entry, byte));
        for (entry, byte) in ends.flat_map(above) {
            match entry.role {
                Role::Folder if byte == b'/' => add(entry, MatchKind::Respelled),
                Role::Whole | Role::Stem => add(entry, MatchKind::Extended),
                Role::Folder | Role::Cut => {}
            }
        }
        for entry in self.entries(Some(key)) {
            match entry.role {
                Role::Whole | Role::Folder => add(entry, MatchKind::Respelled),
                Role::Stem => add(entry, MatchKind::Extended),
                Role::Cut => {}
            }
        }
        let cuts = self.cut_lengths.iter().flat_map(|length| self.entries(key.get(..*length)));
        for entry in cuts.filter(|entry| entry.role == Role::Cut) {
            add(entry, MatchKind::Respelled);
        }
        self.look_up_templates(raw, reading, hits);
    }

    fn look_up_templates(&self, raw: &str, reading: &Reading<'_>, hits: &mut Vec<Hit>) {
        for (pattern, segments) in &self.templates {
            if let Some(loose) = fit(segments, &reading.folded)
                && let Some(hit) = self.add(hits, raw, *pattern, loose)
            {
                capture(segments, reading.cased, &mut hit.names);
            }
        }
    }

    /// Notes that `raw` fits a pattern: as written, or else as `loose` says.
    fn add<'h>(
        &self,
        hits: &'h mut Vec<Hit>,
        raw: &str,
        pattern: usize,
        loose: MatchKind,
    ) -> Option<&'h mut Hit> {
        if let Some(known) = hits.iter().position(|hit| hit.pattern == pattern) {
            let hit = hits.get_mut(known)?;
            hit.kind = hit.kind.min(loose);
            return Some(hit);
        }
        let (written, _) = self.patterns.get(pattern)?;
        let kind = match written.kind {
            _ if !written.fits_as_written(raw) => loose,
            PathKind::Exact(_) => MatchKind::Exact,
            PathKind::Template(_) => MatchKind::Template,
            PathKind::Prefix(_) => MatchKind::Prefix,
        };
        hits.push(Hit { pattern, kind, names: Vec::new() });
        hits.last_mut()
    }
}

impl<T: Clone + PartialEq> PathIndex<T> {
    /// What `raw` fits, the most specific first and each value once; `raw` is the path of a
    /// request target, without query.
    ///
    /// # Errors
    ///
    /// If `raw` could be taken for too many other paths.
    pub fn find(&self, raw: &str) -> Result<Vec<Match<T>>, Unclear> {
        let mut hits = Vec::new();
        if self.patterns.is_empty() {
            return Ok(Vec::new());
        }
        if is_plain(raw) {
            let path = raw.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(raw);
            self.look_up_with_front_controllers(raw, path, &mut hits);
        } else {
            for reading in readings::of(raw)? {
                self.look_up_with_front_controllers(raw, &normal::tidy(&reading), &mut hits);
            }
        }
        Ok(self.ordered(hits))
    }

    fn look_up_with_front_controllers(&self, raw: &str, path: &str, hits: &mut Vec<Hit>) {
        self.look_up(raw, &Reading::new(path), hits);
        if path.contains('.')
            && let Some(path) = normal::drop_front_controllers(path)
        {
            self.look_up(raw, &Reading::new(&path), hits);
        }
    }

    fn ordered(&self, mut hits: Vec<Hit>) -> Vec<Match<T>> {
        let weight = |hit: &Hit| self.patterns.get(hit.pattern).map_or(0, |(p, _)| p.weight());
        hits.sort_by_key(|hit| (hit.kind, Reverse(weight(hit)), hit.pattern));
        let mut matches: Vec<Match<T>> = Vec::with_capacity(hits.len());
        for Hit { pattern, kind, names } in hits {
            let Some((_, value)) = self.patterns.get(pattern) else { continue };
            match matches.iter_mut().find(|known| known.value == *value) {
                Some(known) => known.names.extend(names),
                None => matches.push(Match { value: value.clone(), kind, names }),
            }
        }
        matches
    }
}

/// Whether every upstream takes `raw` for the same path, letter case apart.
#[must_use]
pub fn is_plain(raw: &str) -> bool {
    let mut before = b' ';
    for byte in raw.bytes() {
        match byte {
            b'/' if matches!(before, b'/' | b'.') => return false,
            b'.' if before == b'/' => return false,
            b'/' | b'.' | b'_' | b'-' | b'~' | b'+' | b',' | b'=' | b':' | b'@' | b'!' => {}
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        before = byte;
    }
    raw.starts_with('/') && before != b'.'
}

/// How `path` fits a template, if it does.
fn fit(segments: &[Segment], path: &str) -> Option<MatchKind> {
    let mut texts = path.split('/').filter(|text| !text.is_empty()).peekable();
    let mut kind = MatchKind::Respelled;
    for segment in segments {
        if kind == MatchKind::Extended {
            return None; // a suffix may only stand at the end
        }
        let text = texts.next()?;
        match segment {
            Segment::Text(expected) if text != &**expected => {
                text.strip_prefix(&**expected).filter(|suffix| suffix.starts_with('.'))?;
                kind = MatchKind::Extended;
            }
            Segment::Text(_) | Segment::Name(_) => {}
        }
    }
    if texts.peek().is_some() { Some(MatchKind::Extended) } else { Some(kind) }
}

/// Adds what stands for the names of a template that `path` fits.
fn capture(segments: &[Segment], path: &str, names: &mut Vec<(Box<str>, Box<[u8]>)>) {
    let mut add = |name: &str, value: &str| {
        let value = normal::percent_decode(value, Slashes::Decode)
            .unwrap_or_else(|| value.as_bytes().to_vec());
        // some decode a path as they do a form
        let blanks = value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        for value in [value.into(), blanks] {
            let capture = (name.into(), value);
            if !names.contains(&capture) {
                names.push(capture);
            }
        }
    };
    let mut texts = path.split('/').filter(|text| !text.is_empty());
    for (segment, text) in segments.iter().zip(&mut texts) {
        if let Segment::Name(name) = segment {
            add(name, text);
        }
    }
    // the format in `/users/alice.json`; in an address the last dot is not one
    if texts.next().is_none()
        && let Some(Segment::Name(name)) = segments.last()
        && let Some((value, _)) = path.rsplit('/').next().and_then(|text| text.rsplit_once('.'))
        && !value.contains('@')
    {
        add(name, value);
    }
}
