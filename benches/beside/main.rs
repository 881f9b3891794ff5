//! What the guard costs beside nginx and `HAProxy`, as Debian has them, on this machine:
//! `cargo bench --bench beside`, or `cargo bench --bench beside -- login locked --rounds 9`.
//!
//! The number to trust is CPU time per request, of the proxy's processes alone, as a ratio to
//! another proxy's in the same round: rounds go A B C, C B A, and so on, so that whatever else the
//! machine does is shared out. `shared` measures what counters cost that guards share in Redis.
//! Needs nginx, haproxy, wrk, h2load, openssl, strace and redis-server; everything stays on loopback.
//! `-- --help` says what can be asked for.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "nothing depends on it")]
#![expect(clippy::panic, clippy::cast_precision_loss, reason = "nothing depends on it")]

mod case;
mod counter;
mod load;
mod pace;
mod proxy;
mod store;
mod usage;

use std::fmt::Write as _;
use std::process::ExitCode;

use case::{CASES, Case, Goal, Measure};
use load::{Done, Options};
use proxy::{Bench, Proxy};

/// What one proxy took for one round.
struct Round {
    done: Done,
    /// Microseconds of CPU time for each request: in the program, and in the kernel for it.
    micros: (f64, f64),
}

impl Round {
    fn all(&self) -> f64 {
        self.micros.0 + self.micros.1
    }
}

fn main() -> ExitCode {
    let (cases, options) = match arguments() {
        Ok(asked) => asked,
        Err((why, status)) => {
            println!("{why}");
            return status;
        }
    };
    println!("{}", proxy::versions());
    println!(
        "{} rounds of {} s, {} connections, {} workers each; ratios are of CPU time per request, \
         round by round, where nothing else is said: median, and from lowest to highest\n",
        options.rounds, options.seconds, options.connections, options.workers
    );
    for case in cases {
        let bench = Bench::start(case, &options);
        match case.measure {
            Measure::Cpu | Measure::Latency => {
                warm_up(case, &bench, &options);
                compare(case, &bench, &options);
            }
            Measure::Store => store::measure(case, &bench, &options),
            Measure::Counter => counter::measure(case, &bench, &options),
            Measure::Calls => calls(case, &bench, &options),
            Measure::Memory => memory(case, &bench),
        }
    }
    ExitCode::SUCCESS
}

/// The cases that are asked for, all where none is; or what is said instead.
fn arguments() -> Result<(Vec<&'static Case>, Options), (String, ExitCode)> {
    let wrong = |why: &str| (format!("{why}\n\n{}", help()), ExitCode::from(2));
    let (mut cases, mut options) = (Vec::new(), Options::usual());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse().ok());
        match argument.as_str() {
            "--rounds" => options.rounds = number().ok_or_else(|| wrong("a number is missing"))?,
            "--secs" => options.seconds = number().ok_or_else(|| wrong("a number is missing"))?,
            "--bench" => {} // what cargo says
            "--help" => return Err((help(), ExitCode::SUCCESS)),
            name => match CASES.iter().find(|case| case.name == name) {
                Some(case) => cases.push(case),
                None => return Err(wrong(&format!("there is no case {name}"))),
            },
        }
    }
    if cases.is_empty() {
        cases = CASES.iter().collect();
    }
    Ok((cases, options))
}

/// What can be asked for.
fn help() -> String {
    let usual = Options::usual();
    let mut help = format!(
        "cargo bench --bench beside -- [CASE]... [--rounds N] [--secs S]\n\n\
         All cases where none is named, {} rounds of {} s where nothing else is said:\n",
        usual.rounds, usual.seconds
    );
    for case in CASES {
        _ = write!(help, "\n  {:<9} {}", case.name, case.what);
    }
    help
}

fn warm_up(case: &Case, bench: &Bench, options: &Options) {
    let short = Options { seconds: 1, ..options.clone() };
    for proxy in &bench.proxies {
        once(case, proxy, &short);
    }
}

/// Measures all in turns and tells of it; the rounds of each.
fn compare(case: &Case, bench: &Bench, options: &Options) -> Vec<Vec<Round>> {
    let mut rounds: Vec<Vec<Round>> = bench.proxies.iter().map(|_| Vec::new()).collect();
    for number in 0..options.rounds {
        let mut order: Vec<usize> = (0..bench.proxies.len()).collect();
        if number % 2 == 1 {
            order.reverse();
        }
        for at in order {
            rounds[at].push(once(case, &bench.proxies[at], options));
        }
    }
    println!("### {}\n", case.what);
    let (of, what): (fn(&Round) -> f64, _) = match case.measure {
        Measure::Latency => (|round| round.done.p50_micros.unwrap_or_default(), "of p50"),
        Measure::Calls | Measure::Counter | Measure::Cpu | Measure::Memory | Measure::Store => {
            (Round::all, "of CPU")
        }
    };
    println!(
        "| | CPU us/request | of it in the kernel | p50 us | requests/s | the guard's ratio {what} \
         | goal |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let own = rounds.last().expect("the guard is the last");
    for (proxy, taken) in bench.proxies.iter().zip(&rounds) {
        let ratio = if proxy.is_own() { String::new() } else { ratio((own, taken), of) };
        let goal = case.goals.iter().find(|Goal(name, _)| *name == proxy.name);
        let goal = goal.map_or_else(String::new, |Goal(_, most)| format!("{most:.2}"));
        println!(
            "| {} | {:.1} | {:.1} | {} | {:.0} | {ratio} | {goal} |",
            proxy.name,
            median(taken.iter().map(Round::all)),
            median(taken.iter().map(|round| round.micros.1)),
            taken[0].done.p50_micros.map_or_else(String::new, |_| {
                format!("{:.0}", median(taken.iter().filter_map(|round| round.done.p50_micros)))
            }),
            median(taken.iter().map(|round| round.done.per_second)),
        );
    }
    println!();
    rounds
}

fn once(case: &Case, proxy: &Proxy, options: &Options) -> Round {
    let before = usage::cpu(proxy.pid());
    let done = load::run(case, proxy, options);
    let after = usage::cpu(proxy.pid());
    let each = |seconds: f64| seconds * 1e6 / done.requests.max(1) as f64;
    let micros = (each(after.0 - before.0), each(after.1 - before.1));
    case.check(proxy, &done);
    Round { done, micros }
}

/// What the guard took to what another did, in the same rounds.
fn ratio((own, other): (&[Round], &[Round]), of: fn(&Round) -> f64) -> String {
    let ratios: Vec<f64> = own.iter().zip(other).map(|(a, b)| of(a) / of(b)).collect();
    let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({lowest:.2}-{highest:.2})", median(ratios.iter().copied()))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn calls(case: &Case, bench: &Bench, options: &Options) {
    println!("### {}\n\n| | calls/request | which |\n|---|--:|---|", case.what);
    for proxy in &bench.proxies {
        let (all, which) = usage::calls(proxy.pid(), || load::run(case, proxy, options).requests);
        println!("| {} | {all:.2} | {which} |", proxy.name);
    }
    println!();
}

fn memory(case: &Case, bench: &Bench) {
    println!("### {}\n\n| | bytes/connection | held |\n|---|--:|--:|", case.what);
    for proxy in &bench.proxies {
        let (bytes, held) = usage::idle(proxy, case.tls());
        println!("| {} | {bytes:.0} | {held} |", proxy.name);
    }
    println!();
}
