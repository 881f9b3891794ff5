//! The PROXY protocol's header, versions 1 and 2: whose connection a proxy passes on.
//!
//! See <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. What follows the addresses in
//! version 2 is skipped.

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

/// The longest header that is read. Version 1 ends within 107 bytes; version 2 may carry more than
/// addresses, of which nobody needs as much as this.
pub const MOST_BYTES: usize = 4096;

/// The longest line of version 1.
const LONGEST_LINE: usize = 107;
/// How version 2 begins; then come command, family and length.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The length of what version 2 begins with.
const FIXED: usize = 16;
/// The address family of unix sockets, in the upper half of its byte.
const UNIX: u8 = 3;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// That of the client at this address.
    Client(IpAddr),
    /// The proxy's own, such as a health check, or that of somebody whom the proxy does not know.
    Proxy,
}

/// What there is of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It may still become one.
    Partial,
    /// All of it.
    Whole {
        /// How many bytes it has.
        length: usize,
        /// What it says.
        speaker: Speaker,
    },
}

/// Why something is no header, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(pub &'static str);

/// Reads the header that `bytes` begins with.
///
/// # Errors
///
/// When it is none, whatever may follow.
pub fn read(bytes: &[u8]) -> Result<Progress, Unusable> {
    let end = match bytes.get(..FIXED) {
        Some(fixed) if fixed.starts_with(SIGNATURE) => end(fixed)?,
        _ => MOST_BYTES,
    };
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (header, length) = match ProxyHeader::parse(bytes, config) {
        Ok((_, length)) if bytes.starts_with(b"P") && length > LONGEST_LINE => {
            return Err(Unusable("the PROXY header is longer than 107 bytes"));
        }
        Ok(read) => read,
        Err(Error::BufferTooShort) if bytes.len() < end => return Ok(Progress::Partial),
        Err(_) => return Err(Unusable("what comes is no PROXY header")),
    };
    let speaker = match header.proxied_address() {
        None => Speaker::Proxy,
        Some(address) if address.protocol == Protocol::Stream => {
            Speaker::Client(address.source.ip().to_canonical())
        }
        Some(_) => return Err(Unusable("the PROXY header is about no TCP connection")),
    };
    Ok(Progress::Whole { length, speaker })
}

/// Where a version 2 header ends, from what it begins with.
fn end(fixed: &[u8]) -> Result<usize, Unusable> {
    let Some([command, family, high, low]) = fixed.last_chunk() else { return Ok(MOST_BYTES) };
    if command & 0xf == 1 && family >> 4 == UNIX {
        return Err(Unusable("the PROXY header names a unix socket and no address"));
    }
    match FIXED + usize::from(u16::from_be_bytes([*high, *low])) {
        end if end > MOST_BYTES => Err(Unusable("the PROXY header is larger than 4 KiB")),
        end => Ok(end),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("a length").to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[track_caller]
    fn check(header: &[u8], expected: Result<Speaker, &str>) {
        let followed = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let seen = read(&followed);
        let expected = match expected {
            Ok(speaker) => Ok(Progress::Whole { length: header.len(), speaker }),
            Err(why) => {
                assert!(seen.is_err_and(|Unusable(own)| own.contains(why)), "{seen:?}");
                return;
            }
        };
        assert_eq!(seen, expected, "{}", header.escape_ascii());
        for end in 0..header.len() {
            assert_eq!(read(&header[..end]), Ok(Progress::Partial), "cut at {end}");
        }
    }

    fn client(address: &str) -> Result<Speaker, &'static str> {
        Ok(Speaker::Client(address.parse().expect("an address")))
    }

    #[test]
    fn version_1_is_a_line() {
        check(b"PROXY TCP4 203.0.113.5 10.0.0.1 56324 443\r\n", client("203.0.113.5"));
        check(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", client("2001:db8::1"));
        check(b"PROXY TCP6 ::ffff:203.0.113.5 ::1 1 2\r\n", client("203.0.113.5"));
        check(b"PROXY UNKNOWN\r\n", Ok(Speaker::Proxy));
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Ok(Speaker::Proxy));
        let longest = format!("PROXY UNKNOWN{}\r\n", " ".repeat(107 - 15));
        check(longest.as_bytes(), Ok(Speaker::Proxy));
        let longer = format!("PROXY UNKNOWN{}\r\n", " ".repeat(108 - 15));
        check(longer.as_bytes(), Err("longer than 107 bytes"));
        for other in [
            "PROXY TCP4 203.0.113.5 10.0.0.1 56324 443\n\n\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 203.0.113.5 10.0.0.1 1 2\r\n",
            "PROXY TCP4 203.0.113.5 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 203.0.113.5 10.0.0.1 1\r\n ",
            "PROXY TCP5 203.0.113.5 10.0.0.1 1 2\r\n",
            "PROXY UDP4 203.0.113.5 10.0.0.1 1 2\r\n",
            "proxy TCP4 203.0.113.5 10.0.0.1 1 2\r\n",
            "POST /login HTTP/1.1\r\n",
            "GET",
        ] {
            check(format!("{other}{}", " ".repeat(107)).as_bytes(), Err("no PROXY header"));
        }
    }

    #[test]
    fn version_2_is_binary_and_what_follows_the_addresses_is_skipped() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 1, 2, 3, 4];
        check(&v2(0x21, 0x11, &v4), client("203.0.113.5"));
        let mut v6 = vec![0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        check(&v2(0x21, 0x21, &v6), client("2001:db8::"));
        v6[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]);
        v6[12..16].copy_from_slice(&[203, 0, 113, 5]);
        check(&v2(0x21, 0x21, &v6), client("203.0.113.5"));
        let followed = [&v4[..], b"\x04\x00\x02hi", b"\x05\xff\xffno such length"].concat();
        check(&v2(0x21, 0x11, &followed), client("203.0.113.5"));
        let full = [&v4[..], &vec![0; MOST_BYTES - FIXED - 12]].concat();
        check(&v2(0x21, 0x11, &full), client("203.0.113.5"));
        check(&v2(0x21, 0x11, &[&full[..], &[0]].concat()), Err("larger than 4 KiB"));
        for local in [v2(0x20, 0, &[]), v2(0x20, 0x11, &v4), v2(0x21, 0, &[]), v2(0x21, 0, &v4)] {
            check(&local, Ok(Speaker::Proxy));
        }
        check(&v2(0x21, 0x31, &[0; 216]), Err("a unix socket"));
        check(&v2(0x21, 0x12, &v4), Err("no TCP connection"));
        for other in [
            v2(0x11, 0x11, &v4),
            v2(0x22, 0x11, &v4),
            v2(0x21, 0x41, &v4),
            v2(0x21, 0x13, &v4),
            v2(0x21, 0x11, &v4[..11]),
            v2(0x21, 0x21, &v4),
        ] {
            check(&other, Err("no PROXY header"));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_header_is_longer_than_what_is_here(
            v2 in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let start = if v2 { SIGNATURE } else { b"PROXY " };
            for bytes in [bytes.clone(), [start, &bytes].concat()] {
                if let Ok(Progress::Whole { length, .. }) = read(&bytes) {
                    prop_assert!(length <= bytes.len() && length <= MOST_BYTES);
                }
            }
        }
    }
}
