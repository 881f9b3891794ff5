//! HTTP Basic authentication (RFC 7617). Digest is another scheme, which no rule can name.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderMap};

use super::Unreadable;

/// One pair of Basic credentials; its `Debug` tells neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    decoded: Box<[u8]>,
    colon: usize,
}

impl Basic {
    /// The username, as it came.
    #[must_use]
    pub fn username(&self) -> &[u8] {
        self.decoded.get(..self.colon).unwrap_or_default()
    }

    /// Username and password, to be hashed and forgotten.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.decoded
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Basic(…)")
    }
}

/// Decoders care neither about padding nor about the bits that are left over.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The Basic credentials in `headers`, each pair once; other schemes are passed over.
///
/// # Errors
///
/// If some cannot be decoded.
pub fn basic(headers: &HeaderMap) -> Result<Vec<Basic>, Unreadable> {
    let mut found: Vec<Basic> = Vec::new();
    for line in headers.get_all(AUTHORIZATION) {
        let line = line.as_bytes().trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (scheme, token) = line.split_at_checked(end).unwrap_or((line, &[]));
        if !scheme.eq_ignore_ascii_case(b"basic") {
            continue;
        }
        let undecodable = Unreadable::Malformed("Basic credentials that cannot be decoded");
        let decoded = LAX.decode(token.trim_ascii()).map_err(|_| undecodable)?;
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or(undecodable)?;
        let credentials = Basic { decoded: decoded.into(), colon };
        if !found.contains(&credentials) {
            found.push(credentials);
        }
    }
    Ok(found)
}
