//! Landlock: of all files, the process can only read those that it may have to read again.
//!
//! Read it may the directories of its configuration's files, with what lies in them: a file that
//! is replaced by another of its name, or a link that leads elsewhere beside where it led, stays
//! readable. So do the places where the system keeps what names and certificate authorities are
//! looked up in. It can write only what it is told to write, beside that make and rename files, and
//! run nothing. The network is left alone: applications'
//! addresses change with a reload.

use std::env;
use std::io;
use std::path::{Component, Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

/// What the system itself reads for us, wherever it lies on this one.
const SYSTEM: [&str; 14] = [
    "/etc", // names of hosts and users, authorities; replaced by renaming
    "/lib", // what looks names up is loaded when it is needed
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/run/systemd/resolve", // where /etc/resolv.conf may lead
    "/run/resolvconf",
    "/run/NetworkManager",
    "/sys/fs/cgroup", // how many cores there are
    "/proc/self",
];
/// Whoever has set these keeps certificate authorities there.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// How much the kernel does of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// All.
    Whole,
    /// A part: it is an older kernel.
    Part,
    /// Nothing.
    None,
}

/// Leaves the calling thread, and those that it starts, nothing but to read `files` and what may
/// come in their stead, to remove the unix sockets `sockets`, and to write `written`, with files
/// beside them that it puts aside.
///
/// # Errors
///
/// When the kernel knows landlock and it fails nevertheless.
pub fn confine(files: &[PathBuf], sockets: &[PathBuf], written: &[PathBuf]) -> io::Result<Sandbox> {
    let read: Vec<PathBuf> = files.iter().flat_map(|file| places(file)).collect();
    let dirs = |files: &[PathBuf]| -> Vec<PathBuf> {
        files.iter().filter_map(|file| lies_in(&std::path::absolute(file).ok()?)).collect()
    };
    let written = written.iter().flat_map(|file| places(file)).collect();
    restrict(read, dirs(sockets), written).map_err(io::Error::other)
}

fn restrict(
    read: Vec<PathBuf>,
    dirs: Vec<PathBuf>,
    written: Vec<PathBuf>,
) -> Result<Sandbox, RulesetError> {
    let system = SYSTEM.iter().map(PathBuf::from);
    let authorities = AUTHORITIES.iter().filter_map(env::var_os).map(PathBuf::from);
    let may_read = AccessFs::ReadFile | AccessFs::ReadDir;
    let may_write = may_read
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))?
        .create()?
        .add_rules(path_beneath_rules(system.chain(authorities).chain(read), may_read))?
        .add_rules(path_beneath_rules(dirs, AccessFs::RemoveFile))?
        .add_rules(path_beneath_rules(written, may_write))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Sandbox::Whole,
        RulesetStatus::PartiallyEnforced => Sandbox::Part,
        RulesetStatus::NotEnforced => Sandbox::None,
    })
}

/// Where `path` lies, and where each link on the way leads to: the directories in which what comes
/// in its stead can be expected. The root directory is none, or everything could be read.
fn places(path: &Path) -> Vec<PathBuf> {
    let Ok(mut rest) = std::path::absolute(path) else { return Vec::new() };
    let mut places = Vec::new();
    for _ in 0..MOST_LINKS {
        match follow(&rest) {
            Step::Link { dir, end, target } => {
                // links beside the root, such as /lib, belong to the system and stay
                if dir.parent().is_some() {
                    places.extend(lies_in(&end));
                }
                rest = target;
            }
            Step::End(path) => {
                places.push(lies_in(&path).unwrap_or(path));
                break;
            }
        }
    }
    places
}

/// The directory of `path`, unless it is the root directory.
fn lies_in(path: &Path) -> Option<PathBuf> {
    path.parent().filter(|dir| dir.parent().is_some()).map(Path::to_path_buf)
}

/// What is met on the way along a path.
enum Step {
    /// A link in `dir`, which leads to `end`; by way of it, the whole path leads to `target`.
    Link { dir: PathBuf, end: PathBuf, target: PathBuf },
    /// No link.
    End(PathBuf),
}

fn follow(path: &Path) -> Step {
    let mut at = PathBuf::from("/");
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        match part {
            Component::ParentDir => _ = at.pop(),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => {}
            Component::Normal(name) => match at.join(name).read_link() {
                Ok(link) => {
                    let end = at.join(link);
                    let target = end.join(parts.as_path());
                    return Step::Link { dir: at, end, target };
                }
                Err(_) => at.push(name),
            },
        }
    }
    Step::End(at)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_lies_in_its_directory_and_where_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        fs::create_dir_all(dir.join("live/shop")).unwrap();
        fs::create_dir_all(dir.join("archive/shop")).unwrap();
        fs::write(dir.join("archive/shop/1.pem"), "").unwrap();
        symlink("../../archive/shop/1.pem", dir.join("live/shop/cert.pem")).unwrap();
        symlink("live", dir.join("current")).unwrap();
        let check = |path: &str, expected: &[&str]| {
            let found: Vec<PathBuf> =
                places(&dir.join(path)).iter().map(|place| place.canonicalize().unwrap()).collect();
            let expected: Vec<PathBuf> = expected.iter().map(|place| dir.join(place)).collect();
            assert_eq!(found, expected, "{path}");
        };
        check("archive/shop/1.pem", &["archive/shop"]);
        check("live/shop/cert.pem", &["archive/shop", "archive/shop"]);
        check("current/shop/cert.pem", &["", "archive/shop", "archive/shop"]);
    }

    #[test]
    fn the_root_directory_is_no_place() {
        assert_eq!(places(Path::new("/loginward.yaml")), [Path::new("/loginward.yaml")]);
    }
}
