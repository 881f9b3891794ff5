//! Content codings: one layer of gzip, deflate or br, up to a cap.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// zlib (RFC 1950), or bare deflate (RFC 1951), as some clients misread RFC 9110.
    Deflate,
    /// RFC 7932.
    Brotli,
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// In a coding we do not know, or in several.
    Unsupported,
    /// Longer than the cap.
    TooLarge,
    /// Not in the coding that it says, not whole, or with something behind it.
    Damaged,
}

impl fmt::Display for Undecodable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unsupported => "the content coding is none of gzip, deflate and br",
            Self::TooLarge => "the decoded body is too large",
            Self::Damaged => "the body is not in the coding it says",
        })
    }
}

impl std::error::Error for Undecodable {}

impl Coding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    ///
    /// [`Undecodable::Unsupported`] for an unknown coding, and for more than one: hardly anybody
    /// undoes two, and those who do disagree about the order.
    pub fn of(headers: &HeaderMap) -> Result<Self, Undecodable> {
        let lines = headers.get_all(CONTENT_ENCODING).iter();
        let tokens = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let mut coding = Self::Identity;
        for token in tokens.map(|token| token.trim_ascii().to_ascii_lowercase()) {
            let named = match &*token {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Self::Gzip,
                b"deflate" => Self::Deflate,
                b"br" => Self::Brotli,
                _ => return Err(Undecodable::Unsupported),
            };
            if coding != Self::Identity {
                return Err(Undecodable::Unsupported);
            }
            coding = named;
        }
        Ok(coding)
    }

    /// The whole of a request's body.
    ///
    /// # Errors
    ///
    /// If it is longer than `cap`, or if not every decoder would make the same of it.
    pub fn decode(self, bytes: &[u8], cap: usize) -> Result<Cow<'_, [u8]>, Undecodable> {
        let decoded = match self {
            Self::Identity if bytes.len() > cap => return Err(Undecodable::TooLarge),
            Self::Identity => return Ok(Cow::Borrowed(bytes)),
            Self::Gzip => {
                let mut decoder = GzDecoder::new(bytes);
                whole(&mut decoder, cap).and_then(|text| at_end(text, decoder.into_inner()))?
            }
            Self::Deflate => {
                let mut zlib = ZlibDecoder::new(bytes);
                let mut bare = DeflateDecoder::new(bytes);
                let zlib = whole(&mut zlib, cap).and_then(|text| at_end(text, zlib.into_inner()));
                let bare = whole(&mut bare, cap).and_then(|text| at_end(text, bare.into_inner()));
                match (zlib, bare) {
                    (Ok(_), Ok(_)) => return Err(Undecodable::Damaged), // made to be two things
                    (Err(Undecodable::TooLarge), _) | (_, Err(Undecodable::TooLarge)) => {
                        return Err(Undecodable::TooLarge);
                    }
                    (Ok(text), Err(_)) | (Err(_), Ok(text)) => text,
                    (Err(error), Err(_)) => return Err(error),
                }
            }
            Self::Brotli => whole(&mut brotli(bytes), cap)?,
        };
        Ok(Cow::Owned(decoded))
    }

    /// As much of an upstream's body as can be decoded of its beginning, at most `cap` bytes.
    #[must_use]
    pub fn decode_prefix(self, bytes: &[u8], cap: usize) -> Cow<'_, [u8]> {
        let decoded = match self {
            Self::Identity => return Cow::Borrowed(bytes.get(..cap).unwrap_or(bytes)),
            Self::Gzip => prefix(GzDecoder::new(bytes), cap),
            Self::Deflate => {
                let zlib = prefix(ZlibDecoder::new(bytes), cap);
                if zlib.is_empty() { prefix(DeflateDecoder::new(bytes), cap) } else { zlib }
            }
            Self::Brotli => prefix(brotli(bytes), cap),
        };
        Cow::Owned(decoded)
    }
}

fn brotli(bytes: &[u8]) -> Decompressor<&[u8]> {
    let mut decoder = Decompressor::new(bytes, 4096);
    // RFC 7932 ends at 16 MiB; the extension goes up to 1 GiB
    decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
    decoder
}

fn whole(decoder: &mut impl Read, cap: usize) -> Result<Vec<u8>, Undecodable> {
    let mut text = Vec::new();
    let read = decoder.take(beyond(cap)).read_to_end(&mut text);
    if text.len() > cap {
        return Err(Undecodable::TooLarge);
    }
    read.map(|_| text).map_err(|_| Undecodable::Damaged)
}

/// Some decoders go on with a second member behind the first, some stop.
fn at_end(text: Vec<u8>, rest: &[u8]) -> Result<Vec<u8>, Undecodable> {
    if rest.is_empty() { Ok(text) } else { Err(Undecodable::Damaged) }
}

fn prefix(decoder: impl Read, cap: usize) -> Vec<u8> {
    let mut text = Vec::new();
    // what was read before an error stays in `text`, and the error is the end of the prefix
    let _end = decoder.take(beyond(cap)).read_to_end(&mut text);
    text.truncate(cap);
    text
}

fn beyond(cap: usize) -> u64 {
    u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"username=victim&password=guess&username=victim&password=guess";
    /// `TEXT` as the reference implementation codes it.
    const BROTLI: &[u8] = &[
        0x1b, 0x3c, 0x00, 0xf8, 0x1d, 0x09, 0x36, 0x2e, 0x71, 0x0f, 0x27, 0xf1, 0xea, 0xac, 0x2e,
        0xe7, 0xe4, 0xca, 0xda, 0xa4, 0xa7, 0x6c, 0x4e, 0x17, 0xe2, 0xc8, 0x28, 0xfc, 0x68, 0x17,
        0xca, 0x78, 0xe6, 0x24, 0xd5, 0x29, 0x56, 0x41, 0xdc, 0x35, 0x13,
    ];

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn bare(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    #[track_caller]
    fn check(lines: &[&'static str], bytes: &[u8], expected: Result<&[u8], Undecodable>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
        }
        let decoded = Coding::of(&headers).and_then(|coding| coding.decode(bytes, 1000));
        assert_eq!(decoded.as_deref(), expected.as_deref(), "{lines:?}");
    }

    #[test]
    fn one_layer_of_a_known_coding_is_undone() {
        check(&[], TEXT, Ok(TEXT));
        check(&["identity"], TEXT, Ok(TEXT));
        check(&["gzip"], &gzip(TEXT), Ok(TEXT));
        check(&["X-GZip"], &gzip(TEXT), Ok(TEXT));
        check(&["identity, gzip,"], &gzip(TEXT), Ok(TEXT));
        check(&["deflate"], &zlib(TEXT), Ok(TEXT));
        check(&["deflate"], &bare(TEXT), Ok(TEXT));
        check(&["br"], BROTLI, Ok(TEXT));
    }

    #[test]
    fn what_cannot_be_vouched_for_is_an_error() {
        check(&["gzip", "gzip"], &gzip(TEXT), Err(Undecodable::Unsupported));
        check(&["gzip, br"], &gzip(TEXT), Err(Undecodable::Unsupported));
        check(&["zstd"], TEXT, Err(Undecodable::Unsupported));
        check(&["gzip"], TEXT, Err(Undecodable::Damaged));
        check(&["br"], TEXT, Err(Undecodable::Damaged));
        check(&["gzip"], &[gzip(TEXT), gzip(TEXT)].concat(), Err(Undecodable::Damaged));
        check(&["deflate"], &[zlib(TEXT), vec![0]].concat(), Err(Undecodable::Damaged));
        check(&["gzip"], gzip(TEXT).split_last().expect("some").1, Err(Undecodable::Damaged));
        check(&["br"], BROTLI.split_last().expect("some").1, Err(Undecodable::Damaged));
        check(&["br"], &[0x11, 0xde], Err(Undecodable::Damaged)); // an empty one, window 1 GiB
        for (coding, bomb) in [("gzip", gzip(&[0; 1001])), ("deflate", bare(&[0; 1001]))] {
            check(&[coding], &bomb, Err(Undecodable::TooLarge));
        }
        check(&[], &[0; 1001], Err(Undecodable::TooLarge));
    }

    /// The head of the zlib reading is the head of a stored block in the bare one.
    #[test]
    fn bytes_that_are_both_zlib_and_bare_deflate_are_neither() {
        let filler = [0; 25_083];
        let text = [&[3, 251, 96][..], &filler, &[1, 4, 0, 0xfb, 0xff]].concat();
        let (a, b) = text.iter().fold((1, 0), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65_521;
            (a, (b + a) % 65_521)
        });
        let length = u16::try_from(text.len() - 3).expect("short");
        let bytes = [
            &[0x78, 0x01, 0x62, 0xfe, 0x9d, 0x00, 0x08][..],
            &length.to_le_bytes(),
            &(!length).to_le_bytes(),
            text.get(3..).expect("longer"),
            &(b << 16 | a).to_be_bytes(),
        ]
        .concat();
        assert!(whole(&mut ZlibDecoder::new(&*bytes), 1 << 16).is_ok());
        assert!(whole(&mut DeflateDecoder::new(&*bytes), 1 << 16).is_ok());
        assert_eq!(Coding::Deflate.decode(&bytes, 1 << 16), Err(Undecodable::Damaged));
    }

    #[test]
    fn of_an_answer_that_was_cut_the_beginning_is_read() {
        let text: Vec<u8> = (0..4000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for (coding, bytes) in [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Deflate, zlib(&text)),
            (Coding::Deflate, bare(&text)),
        ] {
            let half = bytes.get(..bytes.len() / 2).expect("half");
            let decoded = coding.decode_prefix(half, 1000);
            assert_eq!(&*decoded, text.get(..1000).expect("long"), "{coding:?}");
            assert_eq!(&*coding.decode_prefix(&bytes, 1 << 20), text, "{coding:?}");
        }
        assert_eq!(&*Coding::Brotli.decode_prefix(BROTLI, 8), b"username");
        assert_eq!(&*Coding::Gzip.decode_prefix(b"<html>", 8), b"");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
                let decoded = coding.decode(&bytes, 100);
                prop_assert!(decoded.map_or(true, |text| text.len() <= 100));
                prop_assert!(coding.decode_prefix(&bytes, 100).len() <= 100);
            }
        }
    }
}
