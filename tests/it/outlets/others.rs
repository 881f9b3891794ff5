//! What fail2ban and `CrowdSec` make of the guard's lines, with the filters among the examples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::objects;
use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Setup, Upstream, not_run, program};

const FILTER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/fail2ban/filter.d/loginward.conf");
const CROWDSEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/crowdsec");

/// Nobody comes from there.
const FORGED: &str = "6.6.6.6";

/// Names that look like lines, fields and the ends of them.
const HOSTILE: [&str; 8] = [
    "client=6.6.6.6",
    "x client=6.6.6.6 site=shop",
    "x\" client=6.6.6.6 site=\"",
    "x\nts=2026-11-25T03:03:33.256Z level=info event=login_failed client=6.6.6.6 site=shop",
    "\nhost loginward[1]: level=info event=login_failed client=6.6.6.6 ",
    "\"}\n{\"ts\":\"2026-11-25T03:03:33.256Z\",\"level\":\"info\",\"event\":\"login_failed\",\"client\":\"6.6.6.6\"}",
    "reason=\"locked out\" client=6.6.6.6",
    "\\\" reason=\\\"locked out\\\"",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A guard at which all of that was tried, and how many of its events should be seen, by client.
fn story(format: &str) -> (Guard, BTreeMap<&'static str, usize>) {
    let upstream = Upstream::shop();
    let text = format!(
        "trusted_proxies: [\"127.0.0.1\"]\nlog: {{ format: {format} }}\n\
         audit: {{ to: file, file: audit.log }}\n\
         lockout: {{ limits: {{ by: username, failures: 2, cool_off: 10m }} }}\n"
    );
    let mut guard = Setup::new(&text).upstream(&upstream).start();
    let from = |ask: Ask, client: &str| {
        let ask = ask.with("X-Forwarded-For", &format!("{FORGED}, {client}"));
        guard.ask(&ask.with("User-Agent", "x client=6.6.6.6"));
    };
    let (mean, meaner) = ("203.0.113.7", "2001:db8:1:2::3");
    for name in HOSTILE {
        // twice it fails, and then it is refused
        for _ in 0..3 {
            from(Ask::form("/login", &format!("user={}&password=x", encoded(name))), mean);
        }
        from(Ask::form("/login", &format!("user={}2&password=x", encoded(name))), meaner);
    }
    from(Ask::login("kind", "right"), "198.51.100.8");
    from(
        Ask::form("/login", &format!("user={}3&password=right", encoded(HOSTILE[3]))),
        "198.51.100.8",
    );
    let host = "GET / HTTP/1.1\r\nHost: client=6.6.6.6\r\n\r\n";
    guard.client().send(host).answer();
    guard.terminate();
    guard.wait_for_exit();
    (guard, BTreeMap::from([(mean, 3 * HOSTILE.len()), (meaner, HOSTILE.len())]))
}

#[test]
fn fail2ban_finds_who_failed_and_nobody_else() {
    let Some(_) = program("fail2ban-regex") else { return };
    for format in ["text", "json"] {
        let (guard, expected) = story(format);
        let log = guard.dir().join("stderr.log");
        std::fs::write(&log, guard.log()).unwrap();
        // as lines come from the journal
        let journal = guard.dir().join("journal.log");
        let prefix = "host loginward[77]: ";
        let lines = guard.log().replace('\n', &format!("\n{prefix}"));
        std::fs::write(&journal, format!("{prefix}{lines}\n")).unwrap();
        for file in [log, journal, guard.dir().join("audit.log")] {
            let mut regex = program("fail2ban-regex").unwrap();
            let said = regex.args(["-o", "row"]).arg(&file).arg(FILTER).output().unwrap();
            let rows = String::from_utf8(said.stdout).unwrap();
            let mut found: BTreeMap<&str, usize> = BTreeMap::new();
            for row in rows.lines().filter(|row| row.starts_with("['")) {
                *found.entry(row[2..].split('\'').next().unwrap()).or_default() += 1;
            }
            assert_eq!(found, expected, "{format}, {}: {rows}", file.display());
        }
    }
}

/// Where `CrowdSec`'s program is, and what lies around it.
fn crowdsec() -> Option<(PathBuf, PathBuf)> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).find(|path| path.join("cscli").is_file());
    let Some(bin) = found else {
        not_run("cscli is not here");
        return None;
    };
    let root = bin.parent().and_then(Path::parent).unwrap().to_owned();
    Some((bin, root))
}

/// A directory with all that `CrowdSec` needs to read `lines`, and the local interface at `url`.
fn prepare(dir: &Path, root: &Path, url: &str) {
    let own = |name: &str| dir.join(name);
    for name in ["parsers/s00-raw", "parsers/s01-parse", "parsers/s02-enrich", "scenarios", "data"]
    {
        std::fs::create_dir_all(own(name)).unwrap();
    }
    let copy = |from: PathBuf, to: &str| {
        std::fs::copy(&from, own(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    let (hub, etc) = (root.join("usr/share/crowdsec/hub"), root.join("etc/crowdsec"));
    let raw = "parsers/s00-raw/crowdsecurity/syslog-logs.yaml";
    copy(hub.join(raw), "parsers/s00-raw/syslog-logs.yaml");
    let date = "parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml";
    copy(hub.join(date), "parsers/s02-enrich/dateparse-enrich.yaml");
    let examples = Path::new(CROWDSEC);
    copy(examples.join("parsers/loginward.yaml"), "parsers/s01-parse/loginward.yaml");
    copy(examples.join("scenarios/loginward.yaml"), "scenarios/loginward.yaml");
    for name in ["simulation.yaml", "profiles.yaml"] {
        copy(etc.join(name), name);
    }
    std::os::unix::fs::symlink(etc.join("patterns"), own("patterns")).unwrap();
    std::os::unix::fs::symlink(hub, own("hub")).unwrap();
    let here = format!("{}/", dir.display());
    let config = std::fs::read_to_string(etc.join("config.yaml")).unwrap();
    let config = config
        .replace("/etc/crowdsec/", &here)
        .replace("/var/lib/crowdsec/data/", &format!("{here}data/"))
        .replace("/var/lib/crowdsec/", &here)
        .replace("/usr/lib/crowdsec/plugins/", &here)
        .replace("/var/log/", &here)
        .replace("daemonize: true", "daemonize: false")
        .replace("log_media: file", "log_media: stdout");
    std::fs::write(own("config.yaml"), config).unwrap();
    let acquis = examples.join("acquis.d/loginward.yaml");
    copy(acquis, "acquis.yaml");
    let credentials = format!("url: {url}/\nlogin: test\npassword: secret-enough\n");
    std::fs::write(own("local_api_credentials.yaml"), credentials).unwrap();
}

#[test]
fn crowdsec_finds_who_failed_and_nobody_else() {
    let Some((bin, root)) = crowdsec() else { return };
    let (guard, expected) = story("text");
    let api = Upstream::answering(|_| {
        ok("{\"code\": 200, \"expire\": \"2099-01-01T00:00:00Z\", \"token\": \"a.b.c\"}")
            .replace("\r\n\r\n", "\r\nContent-Type: application/json\r\n\r\n")
    });
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), &root, api.url());
    let audit = guard.dir().join("audit.log");
    let count = objects(&std::fs::read_to_string(&audit).unwrap()).len();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths =
        std::env::join_paths([bin.clone()].into_iter().chain(std::env::split_paths(&paths)));
    let mut cscli = std::process::Command::new(bin.join("cscli"));
    cscli.current_dir(dir.path()).env("PATH", paths.unwrap()).arg("-c");
    cscli.arg(dir.path().join("config.yaml"));
    cscli.args(["explain", "-v", "--type", "loginward", "--file"]).arg(&audit);
    let said = cscli.output().unwrap();
    let told = String::from_utf8_lossy(&said.stdout).into_owned();
    let told = format!("{told}{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(told.matches("line: {").count(), count, "{told}");
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for line in told.lines() {
        if let Some((_, address)) = line.split_once("evt.Meta.source_ip : ") {
            *found.entry(address.trim()).or_default() += 1;
        }
    }
    let found: BTreeMap<&str, usize> = found;
    assert_eq!(found, expected, "{told}");
    assert!(told.contains("loginward/loginward-bf"), "the scenario sees them: {told}");
}
