//! The YAML as written -> [`Settings`].

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::access;
use super::error::{Position, Problem, Problems, Severity};
use super::expand::expand;
use super::fields::Fields;
use super::lockout::Level;
use super::node::{Kind, Node};
use super::reader::{MOST_BYTES, Reader, read};
use super::site::{Above, sites};
use super::{
    Settings, account, admin, edge, keys, outlets, own, process, syntax, webhook, written, yaml,
};

/// The smallest configuration that guards something.
const SMALLEST: &str = "\
write at least
    listen: \"127.0.0.1:8080\"
    sites:
      - upstream: http://127.0.0.1:3000
        logins:
          - path: /login
            username: { form: username }
            password: { form: password }
            outcome: { success: { status: [302, 303], set_cookie: NAME_OF_THE_SESSION_COOKIE } }";

impl Settings {
    /// Reads the configuration at `path`. Beside the settings come the warnings.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, and the warnings.
    pub fn load(path: &Path) -> Result<(Self, Vec<Problem>), Problems> {
        Loaded::from(path).result
    }

    /// Reads the configuration `text`, which is called `file` in messages; relative paths in it
    /// begin at `base`. Beside the settings come the warnings.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, and the warnings.
    pub fn parse(text: &str, base: &Path, file: &str) -> Result<(Self, Vec<Problem>), Problems> {
        parse(&mut Reader::new(text, base, file))
    }
}

/// A configuration that was read, and from what.
#[derive(Debug)]
pub struct Loaded {
    /// The settings and the warnings, or all that is wrong.
    pub result: Result<(Settings, Vec<Problem>), Problems>,
    /// Every file that it consists of, as far as it could be read.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// Reads the configuration at `path`, and every file that it names.
    #[must_use]
    pub fn from(path: &Path) -> Self {
        let file = path.display().to_string();
        let mut files = vec![path.to_owned()];
        let about = |severity, wrong: &str, right: &str| Problem {
            severity,
            file: file.as_str().into(),
            at: None,
            key: "".into(),
            wrong: wrong.into(),
            right: right.into(),
        };
        let text = match read(path) {
            Ok(text) => text,
            Err(why) => {
                let result = Err(Problems::new(&file, vec![about(Severity::Error, &why, "")]));
                return Self { result, files };
            }
        };
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let mut reader = Reader::new(&text, base, &file);
        let mut result = parse(&mut reader);
        files.extend(reader.files());
        let mode = std::fs::metadata(path).map(|data| data.permissions().mode());
        if let Ok((_, warnings)) = &mut result
            && mode.is_ok_and(|mode| mode & 0o002 != 0)
        {
            let wrong = "everybody on this machine may change it";
            warnings.insert(0, about(Severity::Warning, wrong, "run chmod o-w on it"));
        }
        Self { result, files }
    }
}

/// [`Settings::parse`] with a reader that a test may have changed.
pub(super) fn parse(reader: &mut Reader<'_>) -> Result<(Settings, Vec<Problem>), Problems> {
    let text = reader.text;
    if text.len() as u64 > MOST_BYTES {
        reader.error_at(Position::START, "", "is larger than 1 MiB", "");
        return Err(reader.finish());
    }
    let mut root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            syntax::report(&error, reader);
            return Err(reader.finish());
        }
    };
    expand(&mut root, reader);
    let settings = settings(&root, reader);
    let problems = reader.finish();
    match settings {
        Some(settings) if !problems.has_errors() => Ok((settings, problems.into_vec())),
        _ => Err(problems),
    }
}

fn settings(root: &Node, reader: &mut Reader<'_>) -> Option<Settings> {
    if matches!(root.kind, Kind::Null) {
        reader.error(root, "is empty", SMALLEST);
        return None;
    }
    let fields = Fields::of(root, &keys::FILE, reader);
    if !matches!(root.kind, Kind::Map(_)) {
        return None;
    }
    let listeners = edge::listeners(&fields, reader);
    let clients = edge::clients(&fields, &listeners, reader);
    let above = Above {
        level: Level::defaults().under(fields.get("lockout"), reader),
        access: fields.read("access", access, reader),
    };
    let guarded = fields.get("sites").map(|node| sites(node, &above, reader));
    if fields.lacks("sites") {
        reader.error(root, "needs `sites`", SMALLEST);
    }
    own::check(root, reader);
    let admin = admin::admin(&fields, reader);
    Some(Settings {
        listen: listeners.into_iter().map(|(_, address)| address).collect(),
        workers: process::workers(&fields, reader),
        clients,
        sites: guarded?,
        response: Arc::clone(&above.level.lockout.response),
        store: process::store(&fields, reader),
        run_as: account::run_as(&fields, reader),
        sandbox: process::sandbox(&fields, reader),
        admin: admin.0,
        admin_tcp: admin.1,
        metrics: process::metrics(&fields, reader),
        log: process::log(&fields, reader),
        audit: outlets::audit(&fields, reader),
        webhooks: webhook::webhooks(&fields, reader),
        privacy: outlets::privacy(&fields, reader),
        shutdown: process::shutdown(&fields, reader),
        timeouts: process::timeouts(&fields, reader),
        bounds: process::bounds(&fields, reader),
        written: Arc::new(written::written(root)),
    })
}
