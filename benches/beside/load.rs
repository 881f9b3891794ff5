//! Who makes the requests: wrk, h2load, openssl.

use std::fs;
use std::process::{Command, Stdio};
use std::str::FromStr;

use crate::case::Case;
use crate::pace;
use crate::proxy::Proxy;

/// How much is measured.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) rounds: u32,
    /// How long a round of one proxy is.
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
    /// Threads or processes of each proxy.
    pub(crate) workers: u32,
}

impl Options {
    /// What is measured where nothing else is said.
    pub(crate) const fn usual() -> Self {
        Self { rounds: 5, seconds: 4, connections: 64, workers: 2 }
    }
}

/// What makes the load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    FixedRate,
    Handshakes,
    Http2,
    Paced,
    Wrk,
    WrkTls,
}

/// What was done in a round.
pub(crate) struct Done {
    pub(crate) requests: u64,
    /// Answers that were no success.
    pub(crate) bad: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_micros: Option<f64>,
}

/// How many requests a second there are at the fixed rate.
const RATE: u32 = 4000;
/// So many shake hands at a time.
const HANDS: usize = 4;

/// Makes requests to `proxy` for a round.
pub(crate) fn run(case: &Case, proxy: &Proxy, options: &Options) -> Done {
    match case.tool {
        Tool::FixedRate => fixed_rate(case, proxy, options),
        Tool::Handshakes => handshakes(proxy, options),
        Tool::Http2 => http2(case, proxy, options),
        Tool::Paced => pace::run((proxy.http, case.path), RATE, options),
        Tool::Wrk => wrk(case, &format!("http://{}{}", proxy.http, case.path), options),
        Tool::WrkTls => wrk(case, &format!("https://{}{}", proxy.https, case.path), options),
    }
}

fn wrk(case: &Case, url: &str, options: &Options) -> Done {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "--latency", "--timeout", "10s"]);
    wrk.args(["-c", &options.connections.to_string(), "-d", &options.seconds.to_string()]);
    if let Some(script) = case.script {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/beside/wrk/");
        wrk.arg("-s").arg(format!("{scripts}{script}"));
    }
    let told = output(wrk.arg(url));
    Done {
        requests: before(&told, " requests in"),
        bad: after(&told, "Non-2xx or 3xx responses:").map_or(0, number),
        per_second: after(&told, "Requests/sec:").map_or(0.0, number),
        p50_micros: after(&told, " 50%").and_then(micros),
    }
}

fn http2(case: &Case, proxy: &Proxy, options: &Options) -> Done {
    let mut h2load = Command::new("h2load");
    h2load.args(["-t", "1", "-m", "10", "-c", &options.connections.to_string()]);
    h2load.args(["-D", &options.seconds.to_string()]);
    let told = output(h2load.arg(format!("https://{}{}", proxy.https, case.path)));
    of_h2load(&told, None)
}

fn fixed_rate(case: &Case, proxy: &Proxy, options: &Options) -> Done {
    let log = tempfile::tempdir().expect("a directory");
    let file = log.path().join("log");
    let mut h2load = Command::new("h2load");
    h2load.args(["-t", "1", "--h1", "-c", &options.connections.to_string()]);
    h2load.args(["-D", &options.seconds.to_string()]);
    h2load.arg(format!("--rps={}", f64::from(RATE) / f64::from(options.connections)));
    h2load.arg(format!("--log-file={}", file.display()));
    let told = output(h2load.arg(format!("http://{}{}", proxy.http, case.path)));
    // each line: when it began, the status, how many microseconds it took
    let log = fs::read_to_string(file).unwrap_or_default();
    let taken = log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok());
    let mut taken: Vec<u64> = taken.collect();
    taken.sort_unstable();
    of_h2load(&told, taken.get(taken.len() / 2).map(|middle| *middle as f64))
}

fn of_h2load(told: &str, p50_micros: Option<f64>) -> Done {
    Done {
        requests: before(told, " succeeded,"),
        bad: before(told, " failed,"),
        per_second: before(told, " req/s"),
        p50_micros,
    }
}

fn handshakes(proxy: &Proxy, options: &Options) -> Done {
    let begin = |_| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_time", "-connect", &proxy.https.to_string(), "-new"]);
        openssl.args(["-time", &options.seconds.to_string()]);
        openssl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl")
    };
    let all: Vec<_> = (0..HANDS).map(begin).collect();
    let shaken = all.into_iter().map(|openssl| {
        let told = openssl.wait_with_output().expect("openssl").stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        before::<u64>(&told, " connections in")
    });
    let requests = shaken.sum();
    let per_second = requests as f64 / f64::from(options.seconds);
    Done { requests, bad: 0, per_second, p50_micros: None }
}

fn output(command: &mut Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The word before the first `mark`, as a number; 0 where there is none.
fn before<N: FromStr + Default>(text: &str, mark: &str) -> N {
    let found = text.split_once(mark).and_then(|(before, _)| before.split_whitespace().last());
    found.and_then(|found| found.parse().ok()).unwrap_or_default()
}

/// The word after the first `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

fn number<N: FromStr + Default>(written: &str) -> N {
    written.parse().unwrap_or_default()
}

/// `1.23ms`, in microseconds.
fn micros(written: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (unit, factor) = units.into_iter().find(|(unit, _)| written.ends_with(unit))?;
    written.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * factor)
}
