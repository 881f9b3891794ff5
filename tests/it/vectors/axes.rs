//! django-axes' settings, spelled out as ours.

use std::collections::BTreeMap;

use crate::driven::Setup;

/// Whether refused attempts count.
pub const MODE: &str = "RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT";

/// The settings of the vectors where they name no others.
const BASELINE: &str = "FAILURE_LIMIT=3, LOCKOUT_PARAMETERS=['ip_address'], COOLOFF_TIME=None, \
                        RESET_ON_SUCCESS=False, LOCK_OUT_AT_FAILURE=True, ENABLED=True, \
                        RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT=True";

/// The configuration that means the same as `settings`, which change the baseline.
#[track_caller]
pub fn setup(settings: &str) -> Setup {
    let axes = parse(&format!("{BASELINE}, {settings}"));
    let source = format!("# {settings}\n{}", file(&axes));
    let setup = Setup::new(&source).set_by(|old, change| {
        let before = old.source().lines().next().unwrap().trim_start_matches("# ");
        setup(&format!("{before}, {change}"))
    });
    if axes["ENABLED"] == "False" { setup.without_login() } else { setup }
}

/// `NAME=VALUE, NAME=VALUE`; the last of a name counts.
fn parse(settings: &str) -> BTreeMap<String, String> {
    let mut parsed: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for piece in settings.split(", ").filter(|piece| !piece.is_empty()) {
        match piece.split_once('=') {
            Some((name, value)) => {
                name.clone_into(&mut last);
                parsed.insert(last.clone(), value.to_owned());
            }
            // a comma inside of a list
            None => parsed.get_mut(&last).unwrap().push_str(&format!(", {piece}")),
        }
    }
    parsed
}

#[track_caller]
fn file(axes: &BTreeMap<String, String>) -> String {
    let get = |name: &str| axes.get(name).map(String::as_str);
    let is = |name: &str| get(name) == Some("True");
    let mut lockout = vec![format!("  limits:\n{}", limits(axes))];
    let mut access = Vec::new();
    for (name, value) in axes {
        let list = value.replace('\'', "");
        match name.as_str() {
            "FAILURE_LIMIT" | "LOCKOUT_PARAMETERS" | "COOLOFF_TIME" | "ENABLED" => {}
            "LOCK_OUT_AT_FAILURE" if is(name) => {}
            "LOCK_OUT_AT_FAILURE" => lockout.push("  mode: monitor".to_owned()),
            "RESET_ON_SUCCESS" if is(name) => lockout.push("  reset_on_success: all".to_owned()),
            "RESET_ON_SUCCESS" => lockout.push("  reset_on_success: none".to_owned()),
            MODE if is(name) => lockout.push("  count_while_locked: true".to_owned()),
            MODE => lockout.push("  count_while_locked: false".to_owned()),
            "IP_BLACKLIST" => access.push(format!("  deny: {list}")),
            "IP_WHITELIST" if is("ONLY_WHITELIST") => access.push(format!("  only_allow: {list}")),
            "IP_WHITELIST" if is("NEVER_LOCKOUT_WHITELIST") => {
                lockout.push(format!("  never_lock: {{ networks: {list} }}"));
            }
            // by itself the list does nothing
            "IP_WHITELIST" | "NEVER_LOCKOUT_WHITELIST" | "ONLY_WHITELIST" => {}
            "WHITELIST_CALLABLE" => {
                lockout.push(format!("  never_lock: {{ usernames: {list} }}"));
            }
            "LOCKOUT_URL" => lockout.push(format!("  response: {{ redirect: \"{value}\" }}")),
            "ALLOWED_CORS_ORIGINS" => {
                lockout.push(format!("  response: {{ cors_origins: {list} }}"));
            }
            // always: what is left, rounded up
            "ENABLE_RETRY_AFTER_HEADER" => {}
            other => panic!("{other} has no counterpart here"),
        }
    }
    let access =
        if access.is_empty() { String::new() } else { format!("access:\n{}\n", access.join("\n")) };
    format!("lockout:\n{}\n{access}", lockout.join("\n"))
}

/// One limit for each member of `LOCKOUT_PARAMETERS`; a list in the list is taken together.
fn limits(axes: &BTreeMap<String, String>) -> String {
    let failures = &axes["FAILURE_LIMIT"];
    let cool_off = match axes["COOLOFF_TIME"].as_str() {
        // nothing is ever forgotten either
        "None" => "cool_off: never, forget_after: 36500d".to_owned(),
        time => format!("cool_off: {time}"),
    };
    let parameters = axes["LOCKOUT_PARAMETERS"].replace('\'', "\"");
    let parameters: Vec<serde_json::Value> = serde_json::from_str(&parameters).unwrap();
    let limit = |by: &serde_json::Value| {
        format!("    - {{ by: {by}, failures: {failures}, {cool_off} }}\n")
    };
    parameters.iter().map(limit).collect()
}
