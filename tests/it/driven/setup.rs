//! What a driven guard is started with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// What every configuration says that does not say otherwise.
const USUAL: [(&str, &str); 4] = [
    ("listen:", "listen: \"127.0.0.1:0\"\n"),
    ("workers:", "workers: 1\n"),
    ("trusted_proxies:", "trusted_proxies: [\"127.0.0.1\"]\n"),
    ("shutdown:", "shutdown: { deadline: 1s }\n"),
];

const SITE: &str = "sites:\n  - name: {SITE}\n    upstream: \"{UPSTREAM}\"\n";

const LOGIN: &str = "    logins:
      - path: /login
        username: { form: username }
        password: { form: password }
        outcome:
          - success: { status: 302, set_cookie: session }
          - ignore: { status: 429 }
";

/// A configuration.
#[derive(Clone, Debug)]
pub struct Setup {
    file: String,
    login: String,
    dir: Option<Arc<TempDir>>,
    set: fn(&Self, &str) -> Self,
}

impl Setup {
    /// What the file says besides a site with a login form at `/login`; it may have `sites` of its
    /// own, where `{SITE}` and `{UPSTREAM}` stand for the site's name and the application.
    pub fn new(file: &str) -> Self {
        let set = |_: &Self, file: &str| Self::new(file);
        Self { file: file.to_owned(), login: LOGIN.to_owned(), dir: None, set }
    }

    /// What the lockout is, on one line.
    pub fn lockout(lockout: &str) -> Self {
        let set =
            |old: &Self, lockout: &str| Self { file: Self::lockout(lockout).file, ..old.clone() };
        Self { set, ..Self::new(&format!("lockout: {{ {lockout} }}\n")) }
    }

    /// With these keys of the login besides the usual ones.
    pub fn login(mut self, keys: &[&str]) -> Self {
        for key in keys {
            self.login.push_str(&format!("        {key}\n"));
        }
        self
    }

    /// With no login at all.
    pub fn without_login(mut self) -> Self {
        self.login.clear();
        self
    }

    /// With a file beside the configuration.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        let dir = self.dir.get_or_insert_with(|| Arc::new(tempfile::tempdir().unwrap()));
        std::fs::write(dir.path().join(name), text).unwrap();
        self
    }

    /// With another way to read a change of settings.
    pub fn set_by(self, set: fn(&Self, &str) -> Self) -> Self {
        Self { set, ..self }
    }

    /// After a change of settings, in the words in which these were given.
    pub fn set(&self, change: &str) -> Self {
        (self.set)(self, change)
    }

    /// What the file says.
    pub fn source(&self) -> &str {
        &self.file
    }

    /// The whole configuration.
    pub fn text(&self, upstream: &str, site: &str) -> String {
        let says = |key: &str| self.file.lines().any(|line| line.starts_with(key));
        let usual = USUAL.iter().filter(|(key, _)| !says(key)).map(|(_, usual)| *usual);
        let sites = if says("sites:") { String::new() } else { format!("{SITE}{}", self.login) };
        let text = format!("{}{sites}{}", usual.collect::<String>(), self.file);
        text.replace("{SITE}", site).replace("{UPSTREAM}", upstream)
    }

    /// Where relative paths begin.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().map_or_else(|| Path::new("."), |dir| dir.path())
    }
}

/// A name for a site that no other has in this process.
pub fn new_site() -> String {
    static SITES: AtomicUsize = AtomicUsize::new(0);
    format!("site-{}", SITES.fetch_add(1, Ordering::SeqCst))
}
