//! What is in the file, and what is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use loginward::policy::key::{Fingerprinter, Keyer};

use super::*;

const SITES: &str = r#"
sites:
  - name: shop
    upstream: "{UPSTREAM}"
    logins:
      - path: /login
        username: [{ form: user }, { basic: true }]
        password: { form: password }
        session_cookie: session
        outcome: { success: { status: 302 } }
"#;

#[test]
fn no_password_and_no_hash_of_one_is_in_the_file() {
    let (shelf, upstream) = (Shelf::new(), Upstream::shop());
    let mut guard = shelf.start(&format!("{LIMIT}{SITES}"), &upstream);
    let passwords = ["hunter2-wrong", "right-and-secret"];
    for password in passwords {
        let basic = STANDARD.encode(format!("ada:{password}"));
        guard.client().log_in("ada", password);
        guard.ask(&Ask::get("/login").with("Authorization", &format!("Basic {basic}")));
        guard.ask(&Ask::login("ada", password).with("Cookie", "session=cookie-and-secret"));
    }
    guard.terminate();
    guard.wait_for_exit();
    let bytes = std::fs::read(shelf.file()).unwrap();
    let has = |what: &[u8]| bytes.windows(what.len()).any(|part| part == what);
    assert!(has(b"ada"), "so that this can fail");
    let (head, _) = read(&shelf.file());
    let mut secrets: Vec<Vec<u8>> = vec![b"cookie-and-secret".to_vec()];
    for password in passwords {
        secrets.push(password.as_bytes().to_vec());
        secrets.push(format!("ada:{password}").into_bytes());
        secrets.push(STANDARD.encode(format!("ada:{password}")).into_bytes());
    }
    // nor hashed under the key that is beside it, in any of the ways in which we hash
    let (keyer, by) = (head.keyer, Fingerprinter::new(head.keyer.secret()));
    let hashes = |secret: &[u8], keyer: &Keyer| {
        let account = loginward::policy::account::Account::new(&String::from_utf8_lossy(secret));
        [
            keyer.spelling(secret).to_le_bytes().to_vec(),
            account.map_or(1, |account| keyer.account(&account).0).to_le_bytes().to_vec(),
            by.fingerprint("basic", &[secret]).0.to_le_bytes().to_vec(),
            by.fingerprint("session", &[b"shop", b"session", secret]).0.to_le_bytes().to_vec(),
        ]
    };
    assert!(hashes(b"ada", &keyer)[..2].iter().all(|hash| has(hash)), "so that this can fail");
    for secret in &secrets {
        assert!(!has(secret), "{}", String::from_utf8_lossy(secret));
        for hash in hashes(secret, &keyer) {
            assert!(!has(&hash), "a hash of {}", String::from_utf8_lossy(secret));
        }
    }
}
