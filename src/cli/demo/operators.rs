//! Where the demo is asked as a real guard is: a socket in a directory that only its owner can look into.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use crate::admin::socket::{self, AdminSocket};
use crate::config::Settings;

/// A directory of its own, which goes when it goes out of scope.
#[derive(Debug)]
pub struct Private(PathBuf);

impl Private {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When there is no place for it.
    pub fn make() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("loginward-demo-{:016x}", u64::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        // one that is there already is somebody else's, and an error
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where the socket is in it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // what cannot be removed is nobody's harm
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Binds the socket of `settings`; a demo without one is better than none.
#[must_use]
pub fn bind(settings: &Settings) -> Option<Rc<AdminSocket>> {
    match socket::bind(settings) {
        Ok(socket) => socket.map(Rc::new),
        Err(error) => {
            tracing::warn!(event = "admin_unavailable", error = %error);
            None
        }
    }
}

/// What operators may try, who ask `socket`.
#[must_use]
pub fn introduction(socket: &AdminSocket) -> String {
    let own = std::env::args().next().unwrap_or_else(|| "loginward".to_owned());
    let admin = format!("--admin unix:{}", socket.path().display());
    format!(
        "
As an operator, in another terminal (the reference is on the page that refuses you):
    {own} list {admin}
    {own} reset {admin} --ref REFERENCE
    {own} page {admin}
"
    )
}
