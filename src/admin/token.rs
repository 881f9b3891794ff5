//! The token that whoever asks over TCP has to know: the text of a file, which is made where there is
//! none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::RunAs;
use crate::privileges::{give, is_root};
use crate::server::StartError;

/// A shorter one can be guessed.
const SHORTEST: usize = 16;
/// A longer one is none.
const LONGEST: u64 = 1024;

/// The token in the file at `path`. One that is made is `whom`'s, and nobody else can read it.
///
/// # Errors
///
/// When it can be neither read nor made, or is none.
pub fn obtain(path: &Path, whom: Option<&RunAs>) -> Result<Box<[u8]>, StartError> {
    let failed = |error| StartError::new(format!("no token in {}", path.display()), error);
    match File::open(path) {
        Ok(file) => read(file).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, whom).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn read(file: File) -> io::Result<Box<[u8]>> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    let token = text.trim();
    let is_one = token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    let why =
        "it is a line of 16 to 1,023 letters, digits and signs; without the file, one is made";
    if is_one { Ok(token.as_bytes().into()) } else { Err(io::Error::other(why)) }
}

fn make(path: &Path, whom: Option<&RunAs>) -> io::Result<Box<[u8]>> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    // it is there with all that is in it, or not at all
    let new = beside(path);
    let made = write(&new, &token, whom).and_then(|()| fs::hard_link(&new, path));
    drop(fs::remove_file(&new)); // it is not there where it could not be made
    match made {
        Ok(()) => {
            tracing::info!(event = "admin_token_made", file = %path.display());
            Ok(token.into_bytes().into())
        }
        // another guard was faster
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(File::open(path)?),
        Err(error) => Err(error),
    }
}

/// A file beside the one at `path`, which becomes it once it is whole; no other process has the same.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", std::process::id()));
    beside.into()
}

fn write(path: &Path, token: &str, whom: Option<&RunAs>) -> io::Result<()> {
    // one that was left behind may be anybody's
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(format!("{token}\n").as_bytes())?;
    if let Some(whom) = whom.filter(|_| is_root()) {
        give(path, whom)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let made = obtain(&path, None).unwrap();
        assert_eq!(made.len(), 43);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(obtain(&path, None).unwrap(), made);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
        for wrong in ["", "short", "with a blank in its middle", "ünïcödé-is-no-token"] {
            fs::write(&path, wrong).unwrap();
            assert!(obtain(&path, None).is_err(), "{wrong}");
        }
        assert!(obtain(&dir.path().join("none/token"), None).is_err());
    }
}
