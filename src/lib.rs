//! loginward: a reverse proxy that guards the logins of applications nobody wants to change.
//!
//! # Words
//!
//! Towards the client is *downstream*, towards the application *upstream*. The other end of an
//! accepted socket is the *peer*; whom we believe it to be is the *client*: the peer itself, or
//! whom a *trusted proxy* names ([`policy::client`]). A *site* is an application by its hosts; its
//! *login rules* say which requests are *attempts* ([`policy::route`]). An attempt brings one or
//! more *guesses* at the password of one or more *candidates*, each an account in its normal form
//! ([`policy::account`]). What the upstream's answer means is its *outcome*: success, failure or
//! ignored ([`policy::outcome`]). A *limit* says what is counted together and how many failures
//! begin a *lockout* for how long a *cool-off* ([`policy::lockout`]). Each combination that occurs
//! has a *counter* with a *key* ([`policy::key`]); an attempt's *claim* is all its counters. Leave
//! to go on is a *permit*: one *place* in each of them for each guess. Our own answer in the
//! upstream's stead is a *rejection* ([`rejection`]).
//!
//! # A request's life
//!
//! [`guard::answer()`] can be read from top to bottom:
//!
//! 1. Who is this client? [`policy::client::identify`].
//! 2. What does it ask for, and will the upstream see the same? [`guard::target`]. Which site?
//! 3. Is this an attempt? [`guard::recognise`] asks the site's rules, and reads a body only where
//!    one of them wants it. If not: [`guard::forward`] streams it both ways.
//! 4. To what is it charged? [`guard::attempt`] makes the claim.
//! 5. May it go on? [`store::Store::admit`] gives a permit, lets it wait for one, or refuses.
//! 6. [`guard::exchange`] sends it, never twice, and reads the outcome, from the answer's head or
//!    from a bounded beginning of its body.
//! 7. [`guard::settle`] charges or clears, and only then the client gets the first byte: the
//!    upstream's answer, or the lockout that this failure began.
//!
//! Whoever wants one request explained ([`cli::explain`]) sends it the same way, and each step tells
//! a [`guard::trace`] what it found.
//!
//! # Rooms, in reading order
//!
//! Each uses only those before it.
//!
//! [`clock`] and [`alarm`] are the time. [`policy`] decides: pure functions, with the time as an
//! argument. [`config`] turns what the operator wrote into settings that are valid by construction.
//! [`tls`] loads certificates. [`store`] applies decisions to counters, one attempt at a time. [`stream`], [`link`], [`body`],
//! [`headers`] and [`upstream`] are what HTTP needs on both sides. [`rejection`] makes our own
//! answers. [`metrics`] counts and [`events`] names everything that is reported. [`guard`] carries
//! a request through all of that. [`server`] accepts connections, [`snapshot`] keeps the counters in a file, [`statistics`] remembers the last hours,
//! [`admin`] answers operators, [`log`]
//! takes every event, writes lines and tells the [`outlets`], [`privileges`] gives up what the process need not do, [`memory`] what it does not need, and [`cli`] is what is typed.
//!
//! # Threads
//!
//! One thread a core, each with its own listeners, client connections, upstream connections and
//! deadlines; nothing of a request ever changes threads. What they count they count for themselves,
//! in [`metrics::cells`], and it is added up when somebody asks. They share the settings, the counters and
//! what was seen of sessions, and nothing else. A login exchange runs inside its client's request
//! and is handed to its thread only when the client goes away.
//!
//! Other settings become another plan, of which each thread makes its own share
//! ([`guard::rollout`]). A request keeps the share that it began with, and a new one finds the
//! counters, the connections to applications and what was seen of sessions as they were.
//!
//! # Invariants
//!
//! - **No guess is free.** Failures that reached the upstream and places held never exceed a
//!   limit: a place is taken before an attempt is sent and kept until its outcome is settled
//!   ([`store::ledger`]). A permit that is dropped unsettled charges a failure.
//! - **All or nothing.** An attempt takes its places in all its counters at once, under one lock,
//!   or in none; so no two attempts can wait for each other.
//! - **A fleet has one memory.** Where several guards share their counters ([`store::redis`]), each
//!   admission and each settlement is one script, which does on the server what [`policy::lockout`]
//!   does here; the places of an attempt are held under a lease, and the counters here are a mirror.
//! - **What was judged is what is sent.** A path, body or head that the guard and an upstream may
//!   read differently counts for every reading, or is refused.
//! - **Nothing grows without bound**: bodies that are read, attempts that wait and their bytes,
//!   exchanges that have lost their client, counters, lockouts, connections, lines to be logged.
//!   What to do when a bound is reached is decided in one place each.
//! - **A full store forgets the cheapest first.** Counters of a single failure, counters one
//!   failure short of a lockout, and counters in between are kept in tables of their own, so that
//!   a flood of one-off keys evicts one-off keys ([`store::counters`]); lockouts in force have a
//!   budget of their own, in which the one with the least time left yields. A counter in which
//!   somebody holds a place or waits is never evicted. Every eviction of what still counted is
//!   reported.
//! - **What was told is kept.** Where there is a file for it ([`snapshot`]), no answer that rests on a
//!   lockout goes out before that is on the disk; no thread that serves waits for one.
//! - **Secrets cannot be printed.** Passwords are neither decoded nor kept; of Basic credentials
//!   and sessions, only keyed hashes are. What carries a request's body shows nothing of it in
//!   `Debug`.
//!
//! Who attacks with what, and which test shows each promise: [`threat_model`].
//!
//! # Deliberately absent
//!
//! Nothing here rewrites what an application answers, sends a request again that may have arrived,
//! or caches. There is no scripting and there are no plugins. No setting of a client, a header or
//! a cookie switches a limit off.

// whether a future may go to another thread is proved through all that it waits for
#![recursion_limit = "256"]

pub mod admin;
pub mod alarm;
pub mod amount;
pub mod body;
pub mod cli;
pub mod clock;
pub mod compact;
pub mod config;
pub mod dry;
pub mod events;
pub mod files;
pub mod guard;
pub mod headers;
pub mod link;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod outlets;
pub mod policy;
pub mod privileges;
pub mod quiet;
pub mod rejection;
pub mod server;
pub mod snapshot;
pub mod statistics;
pub mod store;
pub mod stream;
pub mod threat_model;
pub mod tls;
pub mod upstream;
pub mod wire;
