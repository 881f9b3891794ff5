//! The audit log, and what events show of people.

use super::*;
use crate::outlets::settings::{Audit, AuditFile, AuditTo, Chosen, Shown, Syslog, SyslogAddr};

fn audit(keys: &str) -> Option<Audit> {
    settings(&file(&format!("audit: {keys}"))).audit
}

#[test]
fn an_audit_log_is_in_a_file_on_standard_output_or_at_a_syslog_server() {
    assert_eq!(audit("none"), None);
    assert_eq!(settings(FLAWLESS).audit, None);
    let to = |keys| audit(keys).unwrap().to;
    let usual = AuditFile { path: base().join("a.log"), size: 104_857_600, keep: 10 };
    assert_eq!(to("{ to: file, file: a.log }"), AuditTo::File(usual.clone()));
    let own = AuditFile { size: 65_536, keep: 3, ..usual };
    let keys = "{ to: file, file: a.log, rotate: { size: 64KiB, keep: 3 } }";
    assert_eq!(to(keys), AuditTo::File(own));
    assert_eq!(to("{ to: stdout }"), AuditTo::Stdout);
    let unix = Syslog { address: SyslogAddr::Unix("/dev/log".into()), facility: 10 };
    assert_eq!(to("{ to: syslog }"), AuditTo::Syslog(unix));
    let udp = Syslog { address: SyslogAddr::Udp("[::1]:514".into()), facility: 16 };
    let keys = "{ to: syslog, syslog: { address: \"udp://[::1]:514\", facility: local0 } }";
    assert_eq!(to(keys), AuditTo::Syslog(udp));
    let events = |keys| audit(keys).unwrap().events;
    assert_eq!(events("{ to: stdout }"), Chosen::All);
    assert_eq!(events("{ to: stdout, events: refused }"), Chosen::Only(vec!["refused"]));
    let names = vec!["locked_out", "reloaded"];
    assert_eq!(events("{ to: stdout, events: [locked_out, reloaded] }"), Chosen::Only(names));
}

#[test]
fn what_is_wrong_with_an_audit_log_is_said() {
    let wrong = |keys: &str, expected: &[&str]| check(&file(keys), expected);
    wrong("audit: {}", &["9:8: audit: needs `to`; write `to: file`, `to: stdout` or `to: syslog`"]);
    wrong(
        "audit: { to: file }",
        &["9:8: audit: needs `file`; say where, such as `file: audit.log`"],
    );
    wrong(
        "audit: { to: file, file: none/a.log }",
        &["9:26: audit.file: there is no directory `none`; make it, for the user that the guard \
           runs as"],
    );
    wrong(
        "audit: { to: stdout, file: a.log }",
        &["9:28: audit.file: does not go with this `to`; remove it, or change `to`"],
    );
    wrong(
        "audit: { to: stdout, events: [locked_up, request] }",
        &[
            "9:31: audit.events[0]: there is no event `locked_up`; did you mean `locked_out`?",
            "9:42: audit.events[1]: there is no event `request`; the README lists all events",
        ],
    );
    wrong(
        "audit: { to: syslog, syslog: { address: \"syslog://here\" } }",
        &["9:41: audit.syslog.address: `syslog://here` is no syslog server; write unix:/dev/log, \
           udp://HOST:514 or tcp://HOST:601"],
    );
    wrong(
        "audit: { to: file, file: a.log, rotate: { size: 1KiB, keep: 0 } }",
        &[
            "9:49: audit.rotate.size: `1KiB` is no size that fits here; write a size from 4KiB to \
             65536MiB",
            "9:61: audit.rotate.keep: `0` does not fit here; write a whole number from 1 to 10000",
        ],
    );
}

#[test]
fn events_show_of_people_what_is_said() {
    let privacy = settings(FLAWLESS).privacy;
    assert_eq!((privacy.usernames, privacy.addresses), (Shown::Clear, Shown::Clear));
    let keys = "privacy: { usernames: hashed, addresses: masked, key: 0123456789abcdef }";
    let privacy = settings(&file(keys)).privacy;
    assert_eq!((privacy.usernames, privacy.addresses), (Shown::Hashed, Shown::Masked));
    assert_eq!(&*privacy.key.unwrap().0, b"0123456789abcdef");
    check(
        &file("privacy: { usernames: hidden, key: \"${file:secret.txt}\" }"),
        &[
            "9:23: privacy.usernames: `hidden` is unknown; write `clear`, `masked` or `hashed`",
            "9:36: privacy.key: is too short for a secret; write at least 16 bytes that nobody \
             guesses, such as `openssl rand -base64 32` prints",
        ],
    );
}

#[test]
fn a_webhook_is_a_url_and_a_secret() {
    let keys = "webhooks: { url: \"http://127.0.0.1:9/a?b=c\", secret: 0123456789abcdef }";
    let [webhook] = &settings(&file(keys)).webhooks[..] else { panic!("one") };
    assert_eq!((&*webhook.name, &*webhook.host), ("127.0.0.1:9", "127.0.0.1:9"));
    assert_eq!(webhook.target, "/a?b=c");
    assert_eq!((webhook.timeout.as_secs(), webhook.retry_for.as_secs()), (10, 3600));
    assert!(webhook.events.has("locked_out") && !webhook.events.has("login_failed"));
    assert!(!format!("{webhook:?}").contains("a?b=c"));
    check(
        &file("webhooks: [{}]"),
        &[
            "9:12: webhooks[0]: needs `url`; say where, such as `url: \
         \"https://hooks.example.com/loginward\"`",
            "9:12: webhooks[0]: needs `secret`; say what is signed with, such as `secret: \
         \"${file:webhook.secret}\"`",
        ],
    );
    let two = "{ url: \"http://localhost/\", secret: 0123456789abcdef }";
    check(
        &file(&format!("webhooks: [{two}, {two}]")),
        &[
            "9:68: webhooks[1]: there are two webhooks of the name `localhost`; give each a `name` of \
         its own",
        ],
    );
    check(
        &file("webhooks: { url: \"http://user:t0ken@h/\", secret: \"whsec_?\" }"),
        &[
            "9:18: webhooks.url: has credentials, and the guard sends none of its own",
            "9:50: webhooks.secret: is no secret to sign with; write 16 bytes or more that nobody \
         guesses; behind `whsec_`, as base64",
        ],
    );
    check(
        &file("webhooks: { url: \"http://10.0.0.1/\", secret: 0123456789abcdef }"),
        &[
            "9:18: warning: webhooks.url: whoever is on the way reads the events; write `https://` if \
         the server speaks it",
        ],
    );
}
