//! django-axes' behaviour, vector by vector, through the real guard with a driven clock.
//!
//! The numbers, the notation and the names of axes' settings are those of the document the vectors
//! were collected in; [`axes::setup`] spells those settings out as ours. Vectors that the contract
//! overrules are tests of the new behaviour under their numbers, with the reason beside them.

mod access;
mod axes;
mod client;
mod concurrency;
mod cool_off;
mod durations;
mod missing;
mod parameters;
mod resets;
mod response;
mod success;
mod threshold;

use std::collections::BTreeSet;

use crate::driven::Driven;
use crate::driven::play::play;

/// One sequence of steps.
struct Vector {
    id: &'static str,
    settings: &'static str,
    steps: &'static str,
    /// The counters at the end where refused attempts count on the counters that are locked.
    counting: &'static str,
    /// The same where refused attempts change nothing.
    ignoring: &'static str,
}

/// A vector whose counters are the same whether or not refused attempts count.
const fn vector(
    id: &'static str,
    settings: &'static str,
    steps: &'static str,
    counters: &'static str,
) -> Vector {
    Vector { id, settings, steps, counting: counters, ignoring: counters }
}

impl Vector {
    /// The counters are these where refused attempts do not count.
    const fn ignoring(self, counters: &'static str) -> Self {
        Self { ignoring: counters, ..self }
    }

    /// Plays it in both modes, or in the one that its settings name.
    #[track_caller]
    fn check(&self) {
        for (counts, counters) in [("True", self.counting), ("False", self.ignoring)] {
            let mode = format!("{}={counts}", axes::MODE);
            let own = self.settings.contains(axes::MODE);
            if own && !self.settings.contains(&mode) {
                continue;
            }
            let settings =
                if own { self.settings.to_owned() } else { format!("{mode}, {}", self.settings) };
            let steps = format!("{}; [{counters}]", self.steps);
            let name = format!("{} with {mode}", self.id);
            drop(play(&name, &axes::setup(&settings), &steps));
        }
    }
}

/// Plays all of them.
#[track_caller]
fn check(vectors: &[Vector]) {
    vectors.iter().for_each(Vector::check);
}

/// Plays a sequence with settings of axes'.
#[track_caller]
fn check_one(id: &str, settings: &str, steps: &str) -> Driven {
    play(id, &axes::setup(settings), steps)
}

/// Vectors about which there is nothing to test here, and why.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("V017", "a limit computed by a Python function; a site and a login have limits of their own"),
    ("H18", "a response computed by a Python function; there are templates and a redirect"),
    ("H19", "the same, and how often such a function is called"),
    ("H20", "Django's asynchronous middleware; it shifts arguments"),
    ("H21", "what a receiver of a Django signal raises"),
    ("D08", "a cool-off computed by a Python function"),
    ("D15", "the same; a cool-off that grows is a list, see D17"),
    ("D16", "tiers by number of failures, which axes only looks up; see D17"),
    ("D18", "the same, beside a cool-off that wins"),
    ("I21", "a word for the order of hops that axes refuses; the order is always from the right"),
    ("I22", "an address computed by a Python function"),
    ("N05", "a key that disappears between two steps of one count; here they are one step"),
    ("N06", "the same in Redis, which comes with another issue"),
    ("N09", "a change of axes' own handler"),
];

/// The sections, to see which numbers they test.
const SECTIONS: &[&str] = &[
    include_str!("vectors/access.rs"),
    include_str!("vectors/client.rs"),
    include_str!("vectors/concurrency.rs"),
    include_str!("vectors/cool_off.rs"),
    include_str!("vectors/durations.rs"),
    include_str!("vectors/missing.rs"),
    include_str!("vectors/parameters.rs"),
    include_str!("vectors/resets.rs"),
    include_str!("vectors/response.rs"),
    include_str!("vectors/success.rs"),
    include_str!("vectors/threshold.rs"),
];

/// The numbers in the names of tests and of vectors, such as `fn v006_…` and `vector("V003", …`.
fn tested(source: &str) -> Vec<String> {
    let is_number = |word: &&str| {
        let (letter, digits) = word.split_at_checked(1).unwrap_or_default();
        "VHDIN".contains(letter)
            && (2..=3).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let functions = source.lines().filter_map(|line| line.trim().strip_prefix("fn "));
    let names = functions.map(|line| line.split('(').next().unwrap().to_ascii_uppercase());
    let mut found: Vec<String> = names
        .flat_map(|name| name.split('_').filter(is_number).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let vectors = source.split("vector(").skip(1);
    found.extend(vectors.map(|rest| rest.split('"').nth(1).unwrap().to_owned()));
    found
}

#[test]
fn every_number_of_the_document_is_tested_or_explained_and_none_twice() {
    // the even numbers of V are those that the document mentions without a row of their own
    let even = [6, 12, 46, 56, 62, 64, 76, 78, 86, 88, 92, 94, 100, 106, 112, 114, 116, 118];
    let mut document: BTreeSet<String> =
        (1..=117).step_by(2).chain(even).map(|number| format!("V{number:03}")).collect();
    for (letter, last) in [("H", 22), ("D", 18), ("I", 22), ("N", 9)] {
        document.extend((1..=last).map(|number| format!("{letter}{number:02}")));
    }
    let mut accounted = BTreeSet::new();
    let explained = NOT_APPLICABLE.iter().map(|(id, _)| (*id).to_owned());
    for id in SECTIONS.iter().copied().flat_map(tested).chain(explained) {
        assert!(accounted.insert(id.clone()), "{id} stands there twice");
    }
    let missing: Vec<_> = document.difference(&accounted).collect();
    let unknown: Vec<_> = accounted.difference(&document).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, unknown: {unknown:?}");
}
