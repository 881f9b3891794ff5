//! What a guard is started with.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use tempfile::TempDir;

use super::guard::Guard;
use super::upstream::Upstream;

/// The site of a configuration that names none: a login form at `/login` whose success is a 302.
const SITES: &str = r#"
sites:
  - name: shop
    upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: { form: user }
        password: { form: password }
        outcome: { success: { status: 302 } }
"#;

/// What every configuration says that does not say otherwise.
const USUAL: [(&str, &str); 5] = [
    ("listen:", "listen: \"127.0.0.1:0\"\n"),
    ("workers:", "workers: 2\n"),
    ("metrics:", "metrics: { address: \"127.0.0.1:0\" }\n"),
    ("admin:", "admin: none\n"),
    ("sites:", SITES),
];

/// A configuration and the files it needs.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub text: String,
    /// Where it and its files are.
    pub dir: TempDir,
    /// Flags of `run` besides.
    pub flags: Vec<String>,
    /// Its environment besides.
    pub variables: Vec<(String, String)>,
    /// What runs it, if not we ourselves.
    pub under: Vec<String>,
    /// At most two sockets that it inherits.
    pub inherited: Vec<OwnedFd>,
}

impl Setup {
    /// A configuration. What it lacks of `listen`, `workers`, `metrics`, `admin` and `sites` is
    /// added: any port of 127.0.0.1, and a site with a login form at `/login` whose success is a
    /// 302. `{DIR}` is the directory it is in.
    pub fn new(text: &str) -> Self {
        let mut text = text.to_owned();
        for (key, usual) in USUAL {
            if !text.lines().any(|line| line.starts_with(key)) {
                write!(text, "\n{usual}").unwrap();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let text = text.replace("{DIR}", dir.path().to_str().unwrap());
        Self {
            text,
            dir,
            flags: Vec::new(),
            variables: Vec::new(),
            under: Vec::new(),
            inherited: Vec::new(),
        }
    }

    /// With the upstream that `{UPSTREAM}` stands for.
    pub fn upstream(self, upstream: &Upstream) -> Self {
        self.replace("{UPSTREAM}", upstream.url())
    }

    /// With `placeholder` replaced.
    pub fn replace(mut self, placeholder: &str, by: &str) -> Self {
        self.text = self.text.replace(placeholder, by);
        self
    }

    /// With one more flag.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With one more environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run by a program that becomes what its last arguments say.
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With one more socket that it inherits as services of systemd do, named `one` or `two`.
    pub fn inherit(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.inherited.push(socket.into());
        // they come as standard input and output, and a shell puts them where they belong
        let script = format!(
            "exec 3<&0 4>&1 </dev/null >/dev/null; export LISTEN_PID=$$ LISTEN_FDS={} \
             LISTEN_FDNAMES=one:two; exec \"$@\"",
            self.inherited.len()
        );
        self.under(&["sh", "-c", &script, "sh"])
    }

    /// With a file beside the configuration.
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    /// Starts the guard and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Guard {
        Guard::of(self)
    }
}
