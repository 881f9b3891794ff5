//! `loginward page` in front of a guard's admin socket.

use std::net::SocketAddr;

use crate::commands::program::Program;

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
        let program = Program::start(&["page", "--admin", admin]);
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
