//! How long it takes to write a million counters down and to recall them, and how long an attempt
//! waits meanwhile: `cargo bench --bench keep`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]

#[path = "shared/counters.rs"]
mod counters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use counters::{fail, room};

use loginward::clock::Clock;
use loginward::policy::key::CountedLimit;
use loginward::store::Store;
use loginward::store::index::PARTS;
use loginward::store::keep::Telling;
use loginward::store::recall::Recalled;

const COUNTERS: u32 = 1_000_000;

fn main() {
    let clock = Clock::driven();
    let (store, limit) = room(&clock, COUNTERS);
    for number in 0..COUNTERS {
        fail(&store, &limit, number);
    }
    let (frames, took, waited) = tell_everything(&store, &limit);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!("{COUNTERS} counters: {bytes} bytes, told in {took:?}");
    println!(
        "an attempt meanwhile: half within {:?}, 99 % within {:?}, all {} within {:?}",
        waited[waited.len() / 2],
        waited[waited.len() * 99 / 100],
        waited.len(),
        waited[waited.len() - 1],
    );
    let begun = Instant::now();
    let mut recalled = Recalled::default();
    assert!(frames.iter().all(|frame| recalled.take(frame, clock.now()).is_some()));
    let (next, _) = room(&clock, COUNTERS);
    let counters = next.recall(recalled).counters;
    println!("{counters} counters recalled in {:?}", begun.elapsed());
}

/// Everything as it is written down, how long that took, and how long attempts took meanwhile.
fn tell_everything(
    store: &Arc<Store>,
    limit: &CountedLimit,
) -> (Vec<Vec<u8>>, Duration, Vec<Duration>) {
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let telling = scope.spawn(|| {
            let begun = Instant::now();
            let mut frames = Vec::new();
            for part in 0..PARTS {
                let mut telling = Telling::new(store);
                store.tell_part(part, &mut telling);
                frames.extend(telling.take());
            }
            is_told.store(true, Ordering::Release);
            (frames, begun.elapsed())
        });
        let mut waited = Vec::new();
        for number in (0..COUNTERS).cycle() {
            let begun = Instant::now();
            fail(store, limit, number);
            waited.push(begun.elapsed());
            if is_told.load(Ordering::Acquire) {
                break;
            }
        }
        waited.sort_unstable();
        let (frames, took) = telling.join().expect("it does not panic");
        (frames, took, waited)
    })
}
