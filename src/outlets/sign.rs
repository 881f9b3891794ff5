//! How what is posted is signed: the scheme of Standard Webhooks, version 1.
//!
//! HMAC-SHA256 over the message's identifier, the time and the body, joined by dots, in base64.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::settings::Secret;

/// How secrets in base64 begin.
pub const PREFIX: &str = "whsec_";

/// The bytes that a secret stands for: behind [`PREFIX`] base64, otherwise its own.
#[must_use]
pub fn key_of(written: &str) -> Option<Vec<u8>> {
    match written.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(written.as_bytes().to_vec()),
    }
}

/// The signature of the message `id`, sent at `seconds` since 1970.
#[must_use]
pub fn signature(Secret(key): &Secret, id: &str, seconds: u64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    signing.update(format!("{id}.{seconds}.").as_bytes());
    signing.update(body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_scheme() {
        // the example of the scheme's own libraries
        let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signature(&Secret(key.into()), id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(key_of("plain words"), Some(b"plain words".to_vec()));
        assert_eq!(key_of("whsec_!"), None);
    }
}
