//! Which keys stand below which, and where a key belongs that stands elsewhere.

use super::keys::{self, Keys, listed};

/// Some keys of a mapping, and the keys of the mappings that stand there.
type Below = &'static [(&'static str, &'static Keys)];

/// What may stand below the keys of each mapping; what is nearest to most people first.
static TREE: &[(&Keys, Below)] = &[
    (
        &keys::FILE,
        &[
            ("sites", &keys::SITE),
            ("lockout", &keys::LOCKOUT),
            ("listen", &keys::LISTENER),
            ("client_address", &keys::CLIENT_ADDRESS),
            ("access", &keys::ACCESS),
            ("store", &keys::STORE),
            ("admin", &keys::ADMIN),
            ("metrics", &keys::METRICS),
            ("log", &keys::LOG),
            ("audit", &keys::AUDIT),
            ("webhooks", &keys::WEBHOOK),
            ("privacy", &keys::PRIVACY),
            ("shutdown", &keys::SHUTDOWN),
            ("timeouts", &keys::TIMEOUTS),
            ("bounds", &keys::BOUNDS),
        ],
    ),
    (&keys::LISTENER, &[("tls", &keys::TLS), ("redirect_to_https", &keys::REDIRECT)]),
    (&keys::CLIENT_ADDRESS, &[("network", &keys::NETWORK)]),
    (
        &keys::SITE,
        &[
            ("logins", &keys::LOGIN),
            ("logouts", &keys::LOGOUT),
            ("upstream", &keys::UPSTREAM),
            ("lockout", &keys::LOCKOUT),
            ("access", &keys::ACCESS),
            ("hsts", &keys::HSTS),
        ],
    ),
    (
        &keys::UPSTREAM,
        &[
            ("health_check", &keys::HEALTH_CHECK),
            ("tls", &keys::UPSTREAM_TLS),
            ("balance", &keys::BALANCE),
        ],
    ),
    (
        &keys::LOGIN,
        &[
            ("outcome", &keys::VERDICT),
            ("username", &keys::USERNAME),
            ("password", &keys::PASSWORD),
            ("when", &keys::WHEN),
            ("username_rewrite", &keys::REWRITE),
            ("lockout", &keys::LOCKOUT),
            ("access", &keys::ACCESS),
        ],
    ),
    (&keys::LOGOUT, &[("when", &keys::WHEN)]),
    (
        &keys::VERDICT,
        &[
            ("success", &keys::CONDITIONS),
            ("failure", &keys::CONDITIONS),
            ("ignore", &keys::CONDITIONS),
        ],
    ),
    (&keys::CONDITIONS, &[("body", &keys::BODY)]),
    (
        &keys::LOCKOUT,
        &[
            ("limits", &keys::LIMIT),
            ("never_lock", &keys::NEVER_LOCK),
            ("response", &keys::RESPONSE),
        ],
    ),
    (
        &keys::STORE,
        &[("memory", &keys::MEMORY), ("snapshot", &keys::SNAPSHOT), ("redis", &keys::REDIS)],
    ),
    (&keys::REDIS, &[("sentinel", &keys::SENTINEL), ("tls", &keys::REDIS_TLS)]),
    (&keys::AUDIT, &[("rotate", &keys::ROTATE), ("syslog", &keys::SYSLOG)]),
];

/// The keys of the mapping that may stand under `key` of a mapping with `keys`.
pub(super) fn inside(keys: &'static Keys, key: &str) -> Option<&'static Keys> {
    below(keys).iter().find(|(own, _)| *own == key).map(|(_, inside)| *inside)
}

/// Where `key` belongs, which is none of `keys`: rather below a neighbour than in what is around,
/// and rather near than far.
pub(super) fn home(keys: &'static Keys, key: &str) -> Option<String> {
    if let Some((home, ways)) = find(&[keys], key) {
        let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
        // what there may be many of is told by what it is
        let is_one_of_many = home.of.starts_with("a ");
        return Some(if is_one_of_many { home.of.to_owned() } else { listed(&ways) });
    }
    let mut around: Vec<&Keys> = above(keys).collect();
    while !around.is_empty() {
        if let Some((home, _)) = find(&around, key) {
            return Some(home.of.to_owned());
        }
        around = around.iter().flat_map(|keys| above(keys)).collect();
    }
    None
}

/// The mapping that has `key`, of these and what is below them, on the first level that has one,
/// and the ways to it.
fn find(mappings: &[&'static Keys], key: &str) -> Option<(&'static Keys, Vec<String>)> {
    let mut level: Vec<(String, &Keys)> =
        mappings.iter().map(|keys| (String::new(), *keys)).collect();
    while !level.is_empty() {
        if let Some((_, home)) = level.iter().find(|(_, keys)| keys.known.contains(&key)) {
            let home = *home;
            level.retain(|(_, keys)| std::ptr::eq(*keys, home));
            return Some((home, level.into_iter().map(|(way, _)| way).collect()));
        }
        let next = |(way, keys): &(String, &'static Keys)| {
            let way = if way.is_empty() { String::new() } else { format!("{way}.") };
            below(keys).iter().map(move |(key, below)| (format!("{way}{key}"), *below))
        };
        level = level.iter().flat_map(next).collect();
    }
    None
}

fn below(keys: &Keys) -> Below {
    TREE.iter().find(|(own, _)| std::ptr::eq(*own, keys)).map_or(&[], |(_, below)| below)
}

fn above(keys: &Keys) -> impl Iterator<Item = &'static Keys> {
    let holds =
        move |(_, below): &&(&Keys, Below)| below.iter().any(|(_, own)| std::ptr::eq(*own, keys));
    TREE.iter().filter(holds).map(|(own, _)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mapping_has_its_place() {
        for keys in keys::ALL {
            let is_file = std::ptr::eq(*keys, &keys::FILE);
            assert!(is_file || above(keys).next().is_some(), "{} stands nowhere", keys.of);
            for (key, _) in below(keys) {
                assert!(keys.known.contains(key), "{} has no {key}", keys.of);
            }
        }
    }

    #[test]
    fn a_key_belongs_to_what_is_near() {
        let check = |keys, key, expected: &str| {
            assert_eq!(home(keys, key).as_deref(), Some(expected), "{key}");
        };
        check(&keys::FILE, "path", "a login");
        check(&keys::FILE, "methods", "a login");
        check(&keys::FILE, "response", "`lockout`");
        check(&keys::LOGIN, "status", "`outcome.success`, `outcome.failure` or `outcome.ignore`");
        check(&keys::LOGIN, "failures", "a limit");
        check(&keys::VERDICT, "status", "`success`, `failure` or `ignore`");
        check(&keys::CONDITIONS, "form", "a username");
        check(&keys::CONDITIONS, "path", "a login");
        check(&keys::HEALTH_CHECK, "host", "upstream");
        check(&keys::SITE, "interval", "`upstream.health_check`");
        check(&keys::LISTENER, "upstream", "a site");
        assert_eq!(home(&keys::LOGIN, "colour"), None);
    }
}
