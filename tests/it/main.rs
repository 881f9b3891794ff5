//! The guard as a program: the real binary between real clients and real upstreams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    reason = "what goes wrong in a test's support fails the test; its `pub` is for the tests"
)]

mod admin;
mod api;
mod basic;
mod cap;
mod certificates;
mod commands;
mod connection_auth;
mod dashboards;
mod driven;
mod evasions;
mod events;
mod fleet;
mod garbage;
mod headers;
mod http2;
mod http2_floods;
mod https;
mod identity;
mod inherited;
mod keep_alive;
mod large_body;
mod leaving;
mod limits;
mod lockout;
mod messages;
mod metrics;
mod monitor;
mod moving;
mod no_free_guess;
mod ordinary;
mod outlets;
mod page;
mod pages;
mod pool;
mod privileges;
mod process;
mod proxy_protocol;
mod readme;
mod refusals;
mod reload;
mod rules;
mod secrets;
mod sessions;
mod shutdown;
mod silence;
mod sites;
mod smoke;
mod snapshot;
mod statistics;
mod streaming;
mod support;
mod systemd;
mod timeouts;
mod tls;
mod told_again;
mod upgrade;
mod upgrade_guard;
mod upstreams;
mod vectors;
mod verdict;
