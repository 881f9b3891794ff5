//! A guard, `loginward page` in front of its admin socket, and a browser that has opened the link.

use std::net::SocketAddr;

use crate::commands::program::Program;
use crate::support::guard::ADMIN;
use crate::support::{Browser, Guard, Setup, Upstream};

/// Two failures of a username from an address lock, and three of a username.
pub const LIMITS: &str = "
lockout:
  limits:
    - { by: [username, ip_address], failures: 2, cool_off: 10m }
    - { by: [username], failures: 3, cool_off: 1h }
";

/// A page that is shown.
pub struct Shown {
    /// The browser that shows it.
    pub browser: Browser,
    /// The guard that it asks.
    pub guard: Guard,
    /// What serves it.
    pub server: Server,
}

impl Shown {
    /// Shows the page of a guard of these settings, if there is a browser.
    #[track_caller]
    pub fn of(settings: &str, upstream: &Upstream) -> Option<Self> {
        let browser = Browser::start()?;
        let guard = Setup::new(&format!("{ADMIN}{settings}")).upstream(upstream).start();
        let server = Server::of(&guard.admin());
        let mut shown = Self { browser, guard, server };
        shown.browser.looks((1280, 900), "light");
        shown.browser.open(&shown.server.link);
        shown.browser.until("it is live", "document.body.dataset.state === 'live'");
        shown.browser.until_text("#events-state", "live");
        Some(shown)
    }

    /// Fails to log in so often.
    #[track_caller]
    pub fn fail(&self, user: &str, times: usize) {
        for _ in 0..times {
            self.guard.client().log_in(user, "wrong");
        }
    }

    /// Nothing has gone wrong in the browser: no error, no exception, nothing that the policy forbids.
    #[track_caller]
    pub fn is_clean(&mut self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// `loginward page`.
pub struct Server {
    /// The program.
    pub program: Program,
    /// The link that it printed.
    pub link: String,
}

impl Server {
    /// For the guard that is asked at `admin`.
    #[track_caller]
    pub fn of(admin: &str) -> Self {
        Self::with(&["--admin", admin])
    }

    /// For the guard that these flags name.
    #[track_caller]
    pub fn with(flags: &[&str]) -> Self {
        let program = Program::start(&[&["page"], flags].concat());
        let link = program.out.wait_for("the link", |line| {
            let line = line.trim();
            line.starts_with("http://127.0.0.1:").then(|| line.to_owned())
        });
        Self { program, link }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let rest = self.link.strip_prefix("http://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// The link without its host.
    pub fn target(&self) -> &str {
        let rest = self.link.strip_prefix("http://").unwrap();
        &rest[rest.find('/').unwrap()..]
    }

    /// The path of the page.
    pub fn home(&self) -> &str {
        self.target().split('?').next().unwrap()
    }
}
