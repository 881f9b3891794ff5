//! What the guards of a fleet hash under: from what they are all configured with, so that they
//! agree without asking anybody.

use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::settings::RedisSettings;
use crate::policy::key::Keyer;

/// What hashes are made under by every guard with these settings: by `key` where there is one, else
/// by the password.
#[must_use]
pub fn keyer(settings: &RedisSettings) -> Keyer {
    let login = &settings.login;
    let (kind, secret) = match (&settings.key, &login.password) {
        (Some(key), _) => (&b"key"[..], &*key.0),
        (None, Some(password)) => (&b"password"[..], &*password.0),
        (None, None) => (&b"none"[..], ""),
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, secret.as_bytes()));
    let user = login.username.as_deref().unwrap_or_default();
    for field in [b"loginward keys of counters", kind, user.as_bytes(), settings.prefix.as_bytes()]
    {
        context.update(&(field.len() as u64).to_le_bytes());
        context.update(field);
    }
    let tag = context.sign();
    let mut key = [0; 16];
    key.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    Keyer::new(key)
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Address, Hidden, Place};
    use super::*;

    #[test]
    fn guards_of_one_configuration_agree_and_others_do_not() {
        let place = |port| Place::One(Address::Tcp("127.0.0.1".into(), port));
        let plain = RedisSettings::at(place(1));
        let hidden = |text: &str| Some(Hidden(text.into()));
        let with = |key: Option<&str>, password: Option<&str>, prefix: &str| {
            let mut settings = RedisSettings::at(place(2));
            settings.key = key.and_then(hidden);
            settings.login.password = password.and_then(hidden);
            settings.prefix = prefix.into();
            keyer(&settings).secret()
        };
        assert_eq!(keyer(&plain).secret(), with(None, None, "loginward"));
        let all = [
            with(None, None, "loginward"),
            with(None, None, "other"),
            with(None, Some("secret"), "loginward"),
            with(Some("secret"), None, "loginward"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        assert_eq!(with(Some("k"), Some("a"), "p"), with(Some("k"), Some("b"), "p"));
    }
}
