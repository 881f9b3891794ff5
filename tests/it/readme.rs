//! The README tells the truth: its examples load, its command lines work, its names exist.

use std::path::Path;

use loginward::config::Settings;

use crate::commands::program::run;

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../config.example.yaml");

/// What an example that names no site is about.
const SITE: &str = "
listen: \"127.0.0.1:8080\"
sites:
  - upstream: http://127.0.0.1:3000
    logins:
      - path: /login
        username: { form: u }
        password: { form: p }
        outcome: { success: { status: 302, location: /app } }
";

/// The settings of django-axes 8.3.1, without `AXES_`.
const AXES: &str = "
    ENABLED FAILURE_LIMIT LOCK_OUT_AT_FAILURE COOLOFF_TIME USE_ATTEMPT_EXPIRATION LOCKOUT_TIERS
    ONLY_ADMIN_SITE HANDLER CACHE LOCKOUT_TEMPLATE LOCKOUT_URL VERBOSE USERNAME_FORM_FIELD
    USERNAME_CALLABLE WHITELIST_CALLABLE LOCKOUT_CALLABLE CLIENT_IP_CALLABLE PASSWORD_FORM_FIELD
    NEVER_LOCKOUT_GET NEVER_LOCKOUT_WHITELIST IP_BLACKLIST IP_WHITELIST ONLY_WHITELIST
    RESET_ON_SUCCESS ALLOWED_CORS_ORIGINS HTTP_RESPONSE_CODE ENABLE_RETRY_AFTER_HEADER
    RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT LOCKOUT_PARAMETERS COOLOFF_MESSAGE PERMALOCK_MESSAGE
    IPWARE_PROXY_COUNT IPWARE_PROXY_ORDER IPWARE_PROXY_TRUSTED_IPS IPWARE_META_PRECEDENCE_ORDER
";

/// The blocks of the README that are in `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn its_examples_load_without_errors_and_without_doubts() {
    let examples = blocks("yaml");
    assert!(examples.len() >= 6, "{}", examples.len());
    for example in examples {
        let site = if example.contains("sites:") { "" } else { SITE };
        let loaded = Settings::parse(&format!("{example}{site}"), Path::new("."), "README.md");
        match loaded {
            Ok((_, warnings)) => assert_eq!(warnings, [], "{example}"),
            Err(problems) => panic!("{problems}\n{example}"),
        }
    }
}

#[test]
fn the_limits_that_it_calls_the_defaults_are() {
    let limits = |text: &str| {
        let (settings, _) = Settings::parse(text, Path::new("."), "README.md").unwrap();
        settings.sites[0].site.logins[0].lockout.limits.clone()
    };
    let (_, rest) = README.split_once("These limits hold where the file names none:").unwrap();
    let example = rest.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(limits(&format!("{example}{SITE}")), limits(SITE));
}

#[test]
fn its_command_lines_work() {
    let lines: Vec<String> = blocks("sh")
        .iter()
        .flat_map(|block| block.replace("\\\n", "").lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("loginward run --upstream"))
        .collect();
    assert!(lines.len() >= 2, "{lines:?}");
    for line in lines {
        let words = shell_words(&line);
        let mut arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        arguments.push("--print-config");
        let said = run(&arguments);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{line}");
    }
}

/// The words of a line as a shell splits it, as far as the README needs that.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn the_commands_and_flags_that_it_names_exist() {
    for command in
        ["run", "check", "demo", "events", "health", "list", "lock", "reload", "reset", "status"]
    {
        let help = run(&[command, "--help"]).out;
        let row = format!("`loginward {command}");
        let rows: Vec<&str> = README.lines().filter(|line| line.contains(&row)).collect();
        assert!(!rows.is_empty(), "{command}");
        let words =
            rows.iter().flat_map(|row| row.split(|c: char| !c.is_ascii_lowercase() && c != '-'));
        for flag in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{command} has no {flag}");
        }
    }
}

#[test]
fn the_names_of_django_axes_are_its_names() {
    let known: Vec<&str> = AXES.split_whitespace().collect();
    for text in [README, EXAMPLE] {
        let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        for name in words.filter_map(|word| word.strip_prefix("AXES_")) {
            assert!(name.is_empty() || known.contains(&name), "AXES_{name}");
        }
    }
    let cells = README.lines().filter(|line| line.starts_with("| `") && line.ends_with(" |"));
    let axes = cells.filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next());
    let names = axes.flat_map(|cell| cell.split('`'));
    let names: Vec<&str> = names
        .filter(|name| {
            name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        })
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn its_links_lead_somewhere() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let heading = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ')
            .collect::<String>()
            .replace(' ', "-")
    };
    let headings: Vec<String> =
        README.lines().filter(|line| line.starts_with('#')).map(heading).collect();
    let links = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for link in links.filter(|link| !link.starts_with("http")) {
        match link.strip_prefix('#') {
            Some(anchor) => assert!(headings.iter().any(|own| own == anchor), "#{anchor}"),
            None => assert!(base.join(link).exists(), "{link}"),
        }
    }
}

#[test]
fn a_link_from_a_setting_leads_to_its_table() {
    let links: Vec<(&str, &str)> = README
        .split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`](#"))
        .filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .map(|(key, rest)| (key, rest.split(')').next().unwrap()))
        .collect();
    assert!(!links.is_empty());
    for (key, anchor) in links {
        let title = |text: &str| text.to_lowercase().replace(' ', "-");
        let sections = README.split("\n### ").skip(1);
        let mut sections = sections.filter_map(|section| section.split_once('\n'));
        let (_, section) = sections.find(|(name, _)| title(name) == anchor).expect(anchor);
        assert!(section.contains(&format!("\n| `{key}` | ")), "`{key}` is not under #{anchor}");
    }
}

#[test]
fn the_page_is_forwarded_in_the_same_words_in_the_readme_and_in_its_help() {
    let help = run(&["page", "--help"]).out;
    let line = |text: &str| {
        let mut lines = text.lines().map(|line| line.trim().to_owned());
        lines.find(|line| line.starts_with("ssh ")).unwrap()
    };
    let readme = blocks("sh").into_iter().find(|block| block.contains("ssh ")).unwrap();
    assert_eq!(line(&help), line(readme));
}

#[test]
fn it_names_every_event_and_every_event_that_is_traced_is_known() {
    let known: Vec<&str> = loginward::events::known().collect();
    for name in &known {
        assert!(README.contains(&format!("`{name}`")), "{name} is not in README.md");
    }
    for name in loginward::events::NAMES.map(loginward::events::Name::text) {
        let row = format!("| `{name}` | ");
        let row = README.lines().find(|line| line.starts_with(&row)).expect(name);
        assert_eq!(row.split(" | ").count(), 3, "{name} has no fields");
    }
    // those that nobody but the log is told of
    let log_only = ["request", "tls_handshake_failed"];
    for source in crate::support::sources() {
        for rest in source.split("event = \"").skip(1) {
            let name = rest.split('"').next().unwrap();
            let is_known = known.contains(&name) || log_only.contains(&name);
            assert!(is_known, "{name} is traced and not among the events of src/events.rs");
        }
    }
}

/// Every command of the program in a text: between backticks, or a line of a block or a file.
fn commands_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let lines = text.lines().map(|line| line.trim_start_matches(['$', ' ']));
    quoted.chain(lines).filter_map(|text| text.strip_prefix("loginward ")).collect()
}

#[test]
fn every_command_that_the_readme_and_the_examples_name_is_understood() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut waiting = vec![base];
    let mut texts = vec![README.to_owned(), EXAMPLE.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            texts.extend(std::fs::read_to_string(&path)); // a picture is no text
        }
    }
    let mut helps = std::collections::HashMap::new();
    let mut seen = 0;
    for text in &texts {
        for command in commands_in(text) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let is_name = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
            let Some(name) = words.first().filter(is_name) else { continue };
            let help =
                helps.entry((*name).to_owned()).or_insert_with(|| run(&[name, "--help"]).out);
            if help.is_empty() {
                continue; // a sentence that begins with the program's name
            }
            seen += 1;
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let letter = |c: char| !c.is_ascii_lowercase() && c != '-';
                let flag = flag.split(letter).next().unwrap();
                let has = |word: &str| word.trim_end_matches(',') == flag;
                let is_there =
                    help.split_whitespace().any(has) || help.contains(&format!("{flag}="));
                assert!(is_there, "`loginward {command}`: {name} has no {flag}");
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn every_line_of_the_log_has_an_event() {
    for source in crate::support::sources() {
        for level in ["info", "warn", "error"] {
            for rest in source.split(&format!("tracing::{level}!(")).skip(1) {
                let call = rest.split(';').next().unwrap();
                assert!(call.contains("event = "), "tracing::{level}!({call}");
            }
        }
    }
}
