//! Finding the guard that a command is about, and asking it.

use std::cell::OnceCell;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{FAILED, UNREACHABLE, USAGE, complain};
use crate::admin::ask::{self, Answer, Place, Question};
use crate::config::error::{Problems, Severity};
use crate::config::{Admin, AdminTcp, Settings, USUAL_ADMIN};

/// The guard has no counters yet, since it takes over from another: 503.
const BUSY: u16 = 503;
/// How often it is asked again then, which is a minute in all.
const TIMES: usize = 11;

/// Which guard.
#[derive(Args, Debug)]
pub struct Contact {
    /// Its admin address: `unix:PATH` or `http://127.0.0.1:9180`
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<Address>,
    /// The file with the token, where that address is one of TCP
    #[arg(long, value_name = "FILE", requires = "admin")]
    token_file: Option<PathBuf>,
    /// Its configuration file, which names that address
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// Where that is, once it was looked for.
    #[arg(skip)]
    found: OnceCell<Found>,
}

/// Where a guard is asked.
#[derive(Clone, Debug)]
struct Found {
    place: Place,
    /// Where else it was looked for first, and why it was not asked there.
    besides: Option<String>,
}

impl From<Place> for Found {
    fn from(place: Place) -> Self {
        Self { place, besides: None }
    }
}

/// An address as a flag has it.
#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

fn address(written: &str) -> Result<Address, String> {
    if let Some(path) = written.strip_prefix("unix:") {
        return Ok(Address::Unix(path.into()));
    }
    let authority = written.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let local = authority.unwrap_or(written).replacen("localhost:", "127.0.0.1:", 1);
    if let Ok(address) = local.parse::<SocketAddr>() {
        if !address.ip().to_canonical().is_loopback() {
            let why = "it is not on this machine, and the token would go there in the clear";
            return Err(format!(
                "{why}: name a loopback address, such as the end of an ssh tunnel"
            ));
        }
        return Ok(Address::Tcp(address));
    }
    if authority.is_none() && written.contains('/') {
        return Ok(Address::Unix(written.into()));
    }
    Err("write one such as unix:/run/loginward/admin.sock or http://127.0.0.1:9180".to_owned())
}

impl Contact {
    /// The guard of a configuration file.
    #[must_use]
    pub const fn of_file(file: PathBuf) -> Self {
        let found = OnceCell::new();
        Self { admin: None, token_file: None, config: Some(file), found }
    }

    /// Asks the guard, and gives up after that time. If it cannot be asked, or does not know the
    /// token, that is told, and what there is instead of an answer is an exit status.
    ///
    /// # Errors
    ///
    /// The exit status.
    pub fn ask(&self, question: Question<'_>, patience: Duration) -> Result<Answer, u8> {
        let place = self.place()?;
        let asked = || {
            let answer = ask::ask(&place, question, patience);
            answer.map_err(|error| self.unreachable(&place, &error))
        };
        let mut answer = asked()?;
        for _ in 0..TIMES {
            if answer.status != BUSY {
                break;
            }
            // it has waited for a while before it said so, and has done nothing
            answer = asked()?;
        }
        if answer.status == BUSY {
            complain(&format!("not done: {place}: {}", answer.detail()));
            return Err(UNREACHABLE);
        }
        if [401, 403, 421].contains(&answer.status) {
            complain(&format!("refused: {place}: {}", answer.detail()));
            return Err(UNREACHABLE);
        }
        Ok(answer)
    }

    /// Says that the guard cannot be asked at `place`, nor anywhere else; the exit status.
    #[must_use]
    pub fn unreachable(&self, place: &Place, error: &io::Error) -> u8 {
        let besides = self.found.get().and_then(|found| found.besides.as_deref());
        let besides = besides.map(|besides| format!("; {besides}")).unwrap_or_default();
        complain(&format!("not reachable: {place}: {}{besides}", why(error)));
        UNREACHABLE
    }

    /// [`Self::ask`] for what is there: any other answer than 200 is told, too.
    ///
    /// # Errors
    ///
    /// The exit status.
    pub fn get(&self, question: Question<'_>, patience: Duration) -> Result<Answer, u8> {
        let answer = self.ask(question, patience)?;
        match answer.status {
            200 => Ok(answer),
            400 => {
                complain(&format!("error: {}", answer.detail()));
                Err(USAGE)
            }
            status => {
                complain(&format!("not done: the guard answers {status}: {}", answer.detail()));
                Err(FAILED)
            }
        }
    }

    /// Where it is asked; what is wrong with the flags or the file is told.
    ///
    /// # Errors
    ///
    /// The exit status.
    pub fn place(&self) -> Result<Place, u8> {
        if let Some(found) = self.found.get() {
            return Ok(found.place.clone());
        }
        let found = match (&self.admin, &self.config) {
            (Some(Address::Unix(path)), _) => Ok(Place::Unix(path.clone()).into()),
            (Some(Address::Tcp(address)), _) => match &self.token_file {
                Some(file) => with_token(*address, file).map(Found::from),
                None => Err("error: over TCP, the guard asks for a token: --token-file".to_owned()),
            },
            (None, Some(file)) => configured(file),
            (None, None) => Ok(Place::Unix(USUAL_ADMIN.into()).into()),
        };
        match found {
            Ok(found) => Ok(self.found.get_or_init(|| found).place.clone()),
            Err(wrong) => {
                complain(&wrong);
                Err(USAGE)
            }
        }
    }
}

/// Says so where an answer is one guard's alone, though there are others.
pub(super) fn tell_reach(shared: &Value) {
    if *shared == Value::Bool(false) {
        complain(
            "warning: the shared store is out of reach: this is what this guard knows, and the others \
             hear of it when the store is back",
        );
    }
}

/// Where the guard of this configuration is asked.
fn configured(file: &Path) -> Result<Found, String> {
    let (admin, tcp) = match Settings::load(file) {
        Ok((settings, _)) => (settings.admin, settings.admin_tcp),
        Err(problems) => alone(file, &problems)?,
    };
    let path = match admin {
        Admin::At(path) | Admin::Beside(path) => path,
        Admin::Nowhere => {
            return Err(format!("{}: admin: is `none`, so it cannot be asked", file.display()));
        }
        Admin::Usual => USUAL_ADMIN.into(),
    };
    let Some(tcp) = tcp else { return Ok(Place::Unix(path).into()) };
    // over TCP only where the socket does not let us in
    let Err(error) = UnixStream::connect(&path) else { return Ok(Place::Unix(path).into()) };
    let besides = format!("unix:{}: {}", path.display(), why(&error));
    let place = with_token(tcp.address, &tcp.token_file);
    let place = place.map_err(|wrong| format!("{wrong}\nnot reachable: {besides}"))?;
    Ok(Found { place, besides: Some(besides) })
}

/// What a configuration with errors says of the admin address: the guard may run all the same.
fn alone(file: &Path, problems: &Problems) -> Result<(Admin, Option<AdminTcp>), String> {
    let is_there = file.is_file();
    let found = Settings::admin_alone(file).filter(|_| is_there);
    let Some(found) = found else {
        let hint =
            format!("the guard may run all the same: name it, as --admin unix:{USUAL_ADMIN}");
        return Err(if is_there { format!("{problems}\n{hint}") } else { problems.to_string() });
    };
    let count = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let errors = if count == 1 { "an error".to_owned() } else { format!("{count} errors") };
    complain(&format!(
        "note: {} has {errors} (`loginward check` says which); of it, only `admin` is used",
        file.display()
    ));
    Ok(found)
}

fn with_token(address: SocketAddr, file: &Path) -> Result<Place, String> {
    let wrong = |why: &dyn std::fmt::Display| {
        format!("error: the token cannot be read: {}: {why}", file.display())
    };
    let token = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(&"there is none in it"));
    }
    Ok(Place::Tcp(address, token.into()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            "no guard is there; name its address with --admin, or its file with --config".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "only root and the user that the guard runs as may ask it".to_owned()
        }
        io::ErrorKind::WouldBlock => "it does not answer in time".to_owned(),
        _ => error.to_string(),
    }
}
