//! What counters cost that guards share in Redis: of the guard, of the server, of the way between.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::case::Case;
use crate::load::Options;
use crate::proxy::{Bench, Running, free_address};
use crate::usage::{cpu, wait_until};
use crate::{Round, compare, median, warm_up};

/// A `redis-server` on loopback that keeps nothing on disk.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    running: Running,
}

/// How many keys are looked at one by one.
const SAMPLES: u32 = 1000;

/// What the server has done so far, by the names of `INFO`; CPU time is in seconds.
struct Work {
    cpu: f64,
    counted: BTreeMap<String, f64>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let address = free_address();
        let mut server = Command::new("redis-server");
        server.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]);
        server.arg(address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let running = Running(server.spawn().expect("redis-server can be started"));
        wait_until(|| TcpStream::connect(address).is_ok());
        Self { address, running }
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(format!("redis://{}", self.address)).expect("an address");
        let mut connection = client.get_connection().expect("connects");
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).expect("answers")
    }

    /// The numbers of a section of `INFO`; of commands, how often each was called.
    fn numbers(&self, section: &str) -> BTreeMap<String, f64> {
        let told: String = self.ask(&["INFO", section]);
        let number = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let value = value.strip_prefix("calls=").unwrap_or(value);
            Some((name.to_owned(), value.split(',').next()?.parse().ok()?))
        };
        told.lines().filter_map(number).collect()
    }

    fn work(&self) -> Work {
        let (user, system) = cpu(self.running.0.id());
        let mut counted = self.numbers("stats");
        counted.extend(self.numbers("commandstats"));
        Work { cpu: user + system, counted }
    }

    /// Bytes that a counter takes: of all memory that is used, and of its key alone.
    fn bytes_each(&self, empty: f64) -> (f64, f64, u64) {
        let keys: u64 = self.ask(&["DBSIZE"]);
        let used = self.numbers("memory").remove("used_memory").unwrap_or_default();
        let of_one = |_| {
            let key: String = self.ask(&["RANDOMKEY"]);
            self.ask::<Option<f64>>(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]).unwrap_or_default()
        };
        let alone = (0..SAMPLES).map(of_one).sum::<f64>() / f64::from(SAMPLES);
        ((used - empty) / keys as f64, alone, keys)
    }
}

impl Work {
    /// What was done after `before`, for each of so many logins.
    fn each(mut self, before: &Self, logins: f64) -> Self {
        for (name, count) in &mut self.counted {
            *count = (*count - before.counted.get(name).unwrap_or(&0.0)) / logins;
        }
        self.cpu = (self.cpu - before.cpu) / logins;
        self
    }

    fn of(&self, name: &str) -> f64 {
        self.counted.get(name).copied().unwrap_or_default()
    }

    /// What was called, by scripts too.
    fn calls(&self) -> String {
        let calls = self.counted.iter().filter_map(|(name, count)| {
            let name = name.strip_prefix("cmdstat_").filter(|_| *count > 0.005)?;
            Some(format!("{name} {count:.2}"))
        });
        calls.collect::<Vec<_>>().join(", ")
    }
}

/// Measures the guard with memory of its own and with the server, many clients at once and one.
pub(crate) fn measure(case: &Case, bench: &Bench, options: &Options) {
    let server = bench.store.as_ref().expect("the case has a store");
    let empty = server.numbers("memory").remove("used_memory").unwrap_or_default();
    warm_up(case, bench, options);
    let many = one_load(case, (bench, server), options);
    println!(
        "redis-server: {:.1} us of CPU for a login; one of them, with one core, carries {:.0} logins/s\n\
         on the way: {:.0} bytes to the server and {:.0} back for a login\n\
         commands for a login, those that scripts call included: {}\n",
        many.cpu * 1e6,
        1.0 / many.cpu,
        many.of("total_net_input_bytes"),
        many.of("total_net_output_bytes"),
        many.calls()
    );
    let alone = Case { what: "the same, one client that waits for each answer", ..*case };
    let one = one_load(&alone, (bench, server), &Options { connections: 1, ..options.clone() });
    println!(
        "redis-server: {:.1} us of CPU for a login; {:.2} requests were read for it\n",
        one.cpu * 1e6,
        one.of("total_reads_processed")
    );
    let (all, alone, keys) = server.bytes_each(empty);
    println!(
        "{keys} counters in the server: {all:.0} bytes each of all memory used, {alone:.0} of MEMORY USAGE\n"
    );
}

fn one_load(case: &Case, (bench, server): (&Bench, &Server), options: &Options) -> Work {
    let before = server.work();
    let rounds = compare(case, bench, options);
    let [memory, shared] = rounds.as_slice() else { panic!("two guards are measured") };
    let more = shared.iter().zip(memory).map(|(shared, memory)| shared.all() - memory.all());
    println!("the guard: {:.1} us of CPU more for a login than with its own memory", median(more));
    let logins = |rounds: &[Round]| rounds.iter().map(|round| round.done.requests).sum::<u64>();
    server.work().each(&before, logins(shared) as f64)
}
