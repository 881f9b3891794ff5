//! What is measured, and what the guard may take for it at most.

use crate::load::{Done, Tool};
use crate::proxy::Proxy;

/// One thing that is measured.
pub(crate) struct Case {
    /// What it is asked for by.
    pub(crate) name: &'static str,
    /// In words.
    pub(crate) what: &'static str,
    /// What makes the load.
    pub(crate) tool: Tool,
    pub(crate) path: &'static str,
    /// The script that makes the requests, where they are no plain `GET`.
    pub(crate) script: Option<&'static str>,
    pub(crate) measure: Measure,
    /// Whom the guard is measured beside.
    pub(crate) beside: &'static [&'static str],
    pub(crate) goals: &'static [Goal],
    /// The status of every answer.
    pub(crate) status: u16,
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Calls,
    /// Memory of counters.
    Counter,
    Cpu,
    /// How long half of all answers take at most.
    Latency,
    Memory,
    /// CPU time, of the server that keeps the counters too.
    Store,
}

/// The most that the guard may take, as a ratio to another.
pub(crate) struct Goal(pub(crate) &'static str, pub(crate) f64);

const BOTH: &[&str] = &["nginx", "haproxy"];

const PLAIN: Case = Case {
    name: "get1k",
    what: "GET 1 KiB, keep-alive",
    tool: Tool::Wrk,
    path: "/",
    script: None,
    measure: Measure::Cpu,
    beside: BOTH,
    goals: &[Goal("nginx", 1.2), Goal("haproxy", 1.05)],
    status: 200,
};

/// All of them.
pub(crate) const CASES: &[Case] = &[
    PLAIN,
    Case {
        name: "post1k",
        what: "POST 1 KiB, no attempt",
        script: Some("post1k.lua"),
        goals: &[Goal("nginx", 1.25), Goal("haproxy", 1.1)],
        ..PLAIN
    },
    Case {
        name: "get100k",
        what: "GET 100 KiB",
        path: "/100k",
        goals: &[Goal("nginx", 1.1), Goal("haproxy", 0.95)],
        ..PLAIN
    },
    Case {
        name: "locked",
        what: "POST of a locked-out client to its login path, 403 (nginx: a plain `return 403`; \
               HAProxy: counts by address)",
        path: "/locked",
        script: Some("locked.lua"),
        goals: &[Goal("nginx", 1.4), Goal("haproxy", 0.85)],
        status: 403,
        ..PLAIN
    },
    Case {
        name: "login",
        what: "counted login that fails, by address and by name, 100,000 names (HAProxy: its \
               stick-table recipe)",
        path: "/login",
        script: Some("login.lua"),
        beside: &["haproxy-recipe"],
        goals: &[Goal("haproxy-recipe", 1.0)],
        status: 401,
        ..PLAIN
    },
    Case {
        name: "shared",
        what: "counted login that fails, three counters, from 100,000 addresses, counters in Redis \
               (memory: the guard's own)",
        path: "/login",
        script: Some("shared.lua"),
        measure: Measure::Store,
        beside: &["memory"],
        goals: &[],
        status: 401,
        ..PLAIN
    },
    Case {
        name: "tls1k",
        what: "GET 1 KiB, keep-alive, TLS 1.3",
        tool: Tool::WrkTls,
        goals: &[Goal("nginx", 0.95), Goal("haproxy", 0.9)],
        ..PLAIN
    },
    Case {
        name: "tlsnew",
        what: "full TLS handshake (a request is a handshake)",
        tool: Tool::Handshakes,
        goals: &[Goal("nginx", 0.6), Goal("haproxy", 0.65)],
        ..PLAIN
    },
    Case {
        name: "h2",
        what: "HTTP/2 GET 1 KiB over TLS, ten streams at once",
        tool: Tool::Http2,
        goals: &[Goal("nginx", 1.1), Goal("haproxy", 1.4)],
        ..PLAIN
    },
    Case {
        name: "pace",
        what: "4,000 GET 1 KiB a second, one every 250 us",
        tool: Tool::Paced,
        measure: Measure::Latency,
        goals: &[Goal("nginx", 1.1)],
        ..PLAIN
    },
    Case {
        name: "rate",
        what: "4,000 GET 1 KiB a second, 64 at a time (as h2load makes them)",
        tool: Tool::FixedRate,
        measure: Measure::Latency,
        goals: &[Goal("nginx", 1.1)],
        ..PLAIN
    },
    Case {
        name: "calls",
        what: "calls to the kernel for a GET 1 KiB, keep-alive",
        measure: Measure::Calls,
        goals: &[],
        ..PLAIN
    },
    Case {
        name: "counter",
        what: "memory of a counter of a username of 12 bytes and an address, of some 100,000 \
               (HAProxy: of a username alone, its stick-table recipe)",
        path: "/login",
        script: Some("names.lua"),
        measure: Measure::Counter,
        beside: &["haproxy-recipe"],
        goals: &[],
        status: 401,
        ..PLAIN
    },
    Case {
        name: "idle",
        what: "memory of an idle keep-alive connection",
        measure: Measure::Memory,
        goals: &[],
        ..PLAIN
    },
    Case {
        name: "idle-tls",
        what: "memory of an idle keep-alive connection over TLS",
        tool: Tool::WrkTls,
        measure: Measure::Memory,
        goals: &[],
        ..PLAIN
    },
];

impl Case {
    /// The plainest.
    pub(crate) const fn plain() -> Self {
        PLAIN
    }

    /// Whether clients come over TLS.
    pub(crate) const fn tls(&self) -> bool {
        !matches!(self.tool, Tool::FixedRate | Tool::Paced | Tool::Wrk)
    }

    /// Whether every answer was as it should be: a proxy that answers something else, or breaks
    /// off, is fast for nothing.
    pub(crate) fn check(&self, proxy: &Proxy, done: &Done) {
        let expected = if self.status < 400 { 0 } else { done.requests };
        // those that were under way at the end are not counted
        let is_right = done.bad.abs_diff(expected) <= done.requests / 1000 + 64;
        assert!(
            is_right && done.requests > 0,
            "{}: {} of {} answers to {} were no success",
            proxy.name,
            done.bad,
            done.requests,
            self.path
        );
    }
}
