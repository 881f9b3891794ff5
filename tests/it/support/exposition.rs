//! Metrics as a strict reader of the `OpenMetrics` text format takes them.

use std::collections::{BTreeMap, BTreeSet};

/// All that a page of metrics says. Reading it fails where the format is not kept.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Families by their names.
    pub families: BTreeMap<String, Family>,
}

/// All series of one name.
#[derive(Debug, Default)]
pub struct Family {
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Its lines.
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// With its suffix.
    pub name: String,
    /// In order.
    pub labels: BTreeMap<String, String>,
    /// What it counts.
    pub value: f64,
}

impl Exposition {
    /// Reads a page.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        let (mut current, mut seen) = (String::new(), BTreeSet::new());
        let body = text.strip_suffix("# EOF\n").expect("it ends with its end mark");
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help text");
                assert!(is_name(name) && !help.is_empty(), "{line}");
                current = name.to_owned();
                let family = Family { help: help.to_owned(), ..Family::default() };
                assert!(all.families.insert(current.clone(), family).is_none(), "twice: {line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert_eq!(name, current, "the type follows the help");
                assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
                all.families.get_mut(name).unwrap().kind = kind.to_owned();
            } else {
                let sample = sample(line);
                let family = all.families.get_mut(&current).expect("a family comes first");
                let suffix = sample.name.strip_prefix(&current).expect(line);
                let suffixes: &[&str] = match &*family.kind {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_count", "_sum"],
                    "info" => &["_info"],
                    _ => &[""],
                };
                assert!(suffixes.contains(&suffix), "{line}");
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
                assert!(family.kind == "gauge" || sample.value >= 0.0, "{line}");
                family.samples.push(sample);
            }
        }
        all.families.values().filter(|family| family.kind == "histogram").for_each(Family::check);
        all
    }

    /// All lines.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|family| &family.samples)
    }

    /// The sum of the lines of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples().filter(|sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        });
        samples.map(|sample| sample.value).sum()
    }
}

impl Family {
    /// Buckets add up, in the order of their bounds, and the last one holds all.
    fn check(&self) {
        let mut series: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for bucket in self.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
            let mut labels = bucket.labels.clone();
            let bound = labels.remove("le").expect("a bound");
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            series.entry(labels).or_default().push((bound, bucket.value));
        }
        for (labels, buckets) in series {
            let ascend = buckets.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
            let (last, all) = *buckets.last().unwrap();
            let is_count = |s: &&Sample| s.name.ends_with("_count") && s.labels == labels;
            let count = self.samples.iter().find(is_count).expect("a count").value;
            assert!(ascend && last.is_infinite(), "{labels:?} {buckets:?}");
            assert!((all - count).abs() < 0.5, "{labels:?}: {all} of {count}");
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(is_letter)
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"").expect(line);
            assert!(is_name(key), "{line}");
            let (value, after) = quoted(after);
            assert!(labels.insert(key.to_owned(), value).is_none(), "twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect(line);
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// A value up to its closing quotation mark, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match letters.next().unwrap().1 {
                'n' => '\n',
                escaped => {
                    assert!(['"', '\\'].contains(&escaped), "{text}");
                    escaped
                }
            }),
            letter => value.push(letter),
        }
    }
    panic!("no closing quotation mark: {text}")
}
