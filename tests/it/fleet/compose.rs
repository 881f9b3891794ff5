//! The compose file of the example, where no containers are: what it names is there, and fits.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::commands::program::run;
use crate::support::program;
use crate::support::redis::RedisServer;

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
/// Where guards and the store read the password.
const PASSWORD: &str = "/run/secrets/store_password";

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(example().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn compose() -> Value {
    serde_yaml::from_str(&read("compose.yaml")).unwrap()
}

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"].as_object().unwrap().iter().map(|(name, service)| (&**name, service))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// Those that are a guard.
fn guards(compose: &Value) -> Vec<&str> {
    let is_guard = |service: &Value| service["build"] == "../..";
    services(compose).filter(|(_, service)| is_guard(service)).map(|(name, _)| name).collect()
}

#[test]
fn every_file_secret_network_and_service_that_it_names_is_there() {
    let compose = compose();
    assert!(example().join("../../Dockerfile").is_file());
    for (name, service) in services(&compose) {
        assert!(service["build"].is_string() != service["image"].is_string(), "{name}");
        for volume in texts(&service["volumes"]) {
            let (here, there) = volume.split_once(':').unwrap();
            assert!(example().join(here).is_file(), "{name}: {here}");
            assert!(there.starts_with('/') && there.ends_with(":ro"), "{name}: {there}");
        }
        for secret in texts(&service["secrets"]) {
            assert!(compose["secrets"][secret]["file"].is_string(), "{name}: {secret}");
        }
        for network in texts(&service["networks"]) {
            assert!(compose["networks"][network].is_object(), "{name}: {network}");
        }
        for (other, on) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(compose["services"][other]["healthcheck"].is_object(), "{name}: {other}");
            assert_eq!(on["condition"], "service_healthy", "{name}: {other}");
        }
    }
    assert_eq!(compose["secrets"]["store_password"]["file"], "./store_password");
    assert!(read("compose.yaml").contains("> store_password\n"), "how it is made is said");
}

#[test]
fn guards_find_the_store_and_the_application_and_the_proxy_finds_the_guards() {
    let compose = compose();
    let guard: Value = serde_yaml::from_str(&read("loginward.yaml")).unwrap();
    let all = guards(&compose);
    assert_eq!(all, ["guard1", "guard2", "guard3"]);
    let host = |url: &Value| {
        let authority = url.as_str().unwrap().split("://").nth(1).unwrap().to_owned();
        authority.split(':').next().unwrap().to_owned()
    };
    for name in [host(&guard["sites"][0]["upstream"]), host(&guard["store"]["redis"]["url"])] {
        assert!(compose["services"][&name].is_object(), "{name}");
    }
    assert_eq!(guard["store"]["redis"]["password"], format!("${{file:{PASSWORD}}}"));
    assert!(read("app.py").contains("(\"0.0.0.0\", 3000)"));
    assert_eq!(guard["sites"][0]["upstream"], "http://app:3000");
    // the proxy is in the network whose word guards take for who the client is
    let subnet = &compose["networks"]["inside"]["ipam"]["config"][0]["subnet"];
    assert_eq!(&guard["trusted_proxies"], subnet);
    assert_eq!(compose["services"]["proxy"]["networks"][0], "inside");

    let proxy = read("haproxy.cfg");
    let port = |address: &Value| address.as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let (port, metrics) = (port(&guard["listen"]), port(&guard["metrics"]["address"]));
    for name in all {
        assert!(proxy.contains(&format!("server {name} {name}:{port}\n")), "{name}");
        let waits = &compose["services"]["proxy"]["depends_on"][name];
        assert!(waits.is_object(), "the proxy begins when {name} is ready");
    }
    assert!(proxy.contains(&format!("check port {metrics} ")));
    let published = compose["services"]["proxy"]["ports"][0].as_str().unwrap();
    let inside = published.rsplit(':').next().unwrap();
    assert!(proxy.contains(&format!("bind :{inside}\n")), "{published}");

    // the image begins with the file that is mounted, and its check asks by the same
    let service = &compose["services"]["guard1"];
    let mounted = service["volumes"][0].as_str().unwrap().split(':').nth(1).unwrap();
    assert!(DOCKERFILE.contains(&format!("CMD [\"run\", \"--config\", \"{mounted}\"]")));
    let check = texts(&service["healthcheck"]["test"]);
    assert_eq!(check, ["CMD", "loginward", "health", "--config", mounted]);
    assert_eq!(run(&["health", "--help"]).status, 0);
}

#[test]
fn the_guards_file_is_usable_and_the_proxys_too() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("store_password");
    std::fs::write(&password, "0123456789abcdef0123456789abcdef\n").unwrap();
    let text = read("loginward.yaml");
    assert!(text.contains(PASSWORD));
    let file = dir.path().join("loginward.yaml");
    std::fs::write(&file, text.replace(PASSWORD, password.to_str().unwrap())).unwrap();
    let said = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("usable, 0 warnings"), "{}{}", said.out, said.err);

    let Some(mut haproxy) = program("haproxy") else { return };
    let file = dir.path().join("haproxy.cfg");
    // nobody knows the guards' names here
    let mut text = read("haproxy.cfg");
    for name in guards(&compose()) {
        text = text.replace(&format!(" {name}:"), " 127.0.0.1:");
    }
    std::fs::write(&file, text).unwrap();
    let said = haproxy.arg("-c").arg("-f").arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{told}");
    assert!(!told.contains("[WARNING]"), "{told}");
}

#[test]
fn the_store_takes_the_flags_that_it_is_started_with() {
    let compose = compose();
    let command = texts(&compose["services"]["store"]["command"]);
    let ["sh", "-c", script] = command.as_slice() else { panic!("{command:?}") };
    let rest = script.trim().strip_prefix("exec valkey-server ").expect(script);
    // compose writes `$$` for `$`
    let (flags, password) = rest.split_once("--requirepass ").expect(rest);
    assert_eq!(password, format!("\"$$(cat {PASSWORD})\""));
    let flags: Vec<&str> = flags.split_whitespace().map(|flag| flag.trim_matches('"')).collect();
    let plan = RedisServer::plan().flags(&flags).password("0123456789abcdef");
    let Some(server) = plan.start() else { return };
    for (setting, expected) in [
        ("maxmemory", "268435456"),
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("appendonly", "no"),
    ] {
        let told = server.text(&["CONFIG", "GET", setting]);
        assert_eq!(told.lines().nth(1).unwrap_or_default(), expected, "{setting}");
    }
}
