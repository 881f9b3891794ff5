//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Bounds;

/// As many as the system allows this process; `None` where there is no limit.
#[must_use]
pub fn most() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Takes as many as the system allows: what a shell or an init system sets besides is meant for
/// programs that would fail with more. Returns how many that are; `None` where there is no limit.
#[must_use]
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if current != maximum && setrlimit(Resource::Nofile, raised).is_err() {
        return current;
    }
    maximum
}

/// How many connections there may be, where each may need one to its application.
#[must_use]
pub fn connections(bounds: &Bounds) -> usize {
    let most = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |most| (most / 2).max(1));
    bounds.connections.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// What is wrong where fewer may be open than clients and their applications need; and what would
/// be right.
#[must_use]
pub fn doubt(bounds: &Bounds, most: Option<u64>) -> Option<(String, String)> {
    let connections = bounds.connections as u64;
    // one for the client, one for the application
    let needed = connections.saturating_mul(2);
    let most = most.filter(|most| *most < needed)?;
    let wrong = format!(
        "{connections} connections may need {needed} open files, and {most} are allowed: \
         there will be {} connections",
        most / 2
    );
    let right = "raise the limit (LimitNOFILE of systemd, `ulimit -Hn` of a shell), or lower this";
    Some((wrong, right.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_may_need_one_to_the_application_too() {
        let bounds = Bounds { connections: 1000, ..Bounds::default() };
        assert_eq!(doubt(&bounds, None), None);
        assert_eq!(doubt(&bounds, Some(2000)), None);
        let (wrong, _) = doubt(&bounds, Some(1999)).expect("a doubt");
        assert!(wrong.starts_with("1000 connections may need 2000 open files, and 1999 are"));
        assert!(wrong.ends_with("there will be 999 connections"), "{wrong}");
    }
}
