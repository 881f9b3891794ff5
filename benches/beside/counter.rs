//! What a counter takes: memory, of some hundred thousand.

use std::time::Duration;

use crate::case::Case;
use crate::load::{self, Options};
use crate::proxy::Bench;
use crate::usage::memory;

/// How long names come that were never there before; the count of them is told. A million failures
/// would lock the client out.
const FILL_SECONDS: u32 = 15;
/// By then whatever is given back is given back.
const SETTLES: Duration = Duration::from_secs(5);

/// Fills each proxy with counters and tells what they take.
pub(crate) fn measure(case: &Case, bench: &Bench, options: &Options) {
    println!("### {}\n\n| | bytes/counter | counters |\n|---|--:|--:|", case.what);
    let filling = Options { seconds: FILL_SECONDS, ..options.clone() };
    for proxy in &bench.proxies {
        // what requests need besides is there by then
        load::run(&Case::plain(), proxy, &Options { seconds: 2, ..options.clone() });
        std::thread::sleep(SETTLES);
        let before = memory(proxy.pid());
        let done = load::run(case, proxy, &filling);
        case.check(proxy, &done);
        assert!(done.requests < 1_000_000, "the client is locked out");
        std::thread::sleep(SETTLES);
        let taken = memory(proxy.pid()).saturating_sub(before);
        println!(
            "| {} | {:.0} | {} |",
            proxy.name,
            taken as f64 / done.requests as f64,
            done.requests
        );
    }
    println!();
}
