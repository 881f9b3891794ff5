//! Which of several servers gets a request.
//!
//! Each server has a weight for what ties a client to its server, its address or a cookie, and the
//! heaviest one gets the request (rendezvous hashing). So the end of one server moves its own
//! clients alone, and every worker, and every guard with the same servers, comes to the same end.

use std::hash::Hasher as _;

use http::header::{COOKIE, HeaderMap};
use siphasher::sip::SipHasher13;

/// Whether a server takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A check says that it does not.
    Out,
    /// It could not be connected to a moment ago: only if there is no other.
    Resting,
    /// As far as is known.
    Ready,
}

/// What ties a request to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie(pub u64);

impl Tie {
    /// What these bytes stand for, the same in every process.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(bytes);
        Self(hasher.finish())
    }

    /// How heavy a server is for it that is called `name`.
    #[must_use]
    pub fn weight(self, name: Self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write_u64(name.0);
        hasher.write_u64(self.0);
        hasher.finish()
    }
}

/// How heavy each of `servers` is when `next` is the one whose turn it is.
#[must_use]
pub const fn turn(at: usize, next: usize, servers: usize) -> u64 {
    if servers == 0 {
        return 0;
    }
    let behind = (at + servers - next % servers) % servers;
    u64::MAX - behind as u64
}

/// The server that gets a request, by number: of those that are ready the heaviest, or else of
/// those that rest. None where all are out.
#[must_use]
pub fn pick(servers: impl Iterator<Item = (usize, Standing, u64)>) -> Option<usize> {
    let usable = servers.filter(|(_, standing, _)| *standing != Standing::Out);
    usable.max_by_key(|(_, standing, weight)| (*standing, *weight)).map(|(at, ..)| at)
}

/// The value of the cookie `name`, if a request has one that is not empty; the first of several.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=").map(<[u8]>::trim_ascii)
    });
    values.find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(servers: usize) -> Vec<Tie> {
        (0..servers).map(|at| Tie::of(format!("http://10.0.0.{at}:80").as_bytes())).collect()
    }

    fn picked(names: &[Tie], standing: impl Fn(usize) -> Standing, tie: Tie) -> Option<usize> {
        let servers = names.iter().enumerate();
        pick(servers.map(|(at, name)| (at, standing(at), tie.weight(*name))))
    }

    proptest! {
        #[test]
        fn the_end_of_a_server_moves_its_own_clients_alone(
            servers in 2..20_usize,
            gone in any::<prop::sample::Index>(),
            tie in any::<u64>(),
        ) {
            let (names, gone, tie) = (names(servers), gone.index(servers), Tie(tie));
            let before = picked(&names, |_| Standing::Ready, tie);
            for standing in [Standing::Out, Standing::Resting] {
                let by = |at| if at == gone { standing } else { Standing::Ready };
                let after = picked(&names, by, tie);
                prop_assert_ne!(after, Some(gone));
                prop_assert!(before == Some(gone) || after == before);
            }
        }

        #[test]
        fn no_request_of_any_cookies_panics(line in "[ -~]{0,40}", name in "[a-z]{1,3}") {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, line.parse().expect("a header value"));
            prop_assert!(cookie(&headers, &name).is_none_or(|value| !value.is_empty()));
        }
    }

    #[test]
    fn clients_are_spread_over_all_servers() {
        let names = names(4);
        let mut shares = [0; 4];
        for client in 0..4000_u32 {
            let tie = Tie::of(format!("192.0.{}.{}", client / 256, client % 256).as_bytes());
            shares[picked(&names, |_| Standing::Ready, tie).expect("one")] += 1;
        }
        assert!(shares.iter().all(|share| (850..1150).contains(share)), "{shares:?}");
    }

    #[test]
    fn what_rests_is_better_than_nothing_and_what_is_out_is_not() {
        let names = names(3);
        let tie = Tie(7);
        assert!(picked(&names, |_| Standing::Resting, tie).is_some());
        let one = |at| if at == 1 { Standing::Resting } else { Standing::Out };
        assert_eq!(picked(&names, one, tie), Some(1));
        assert_eq!(picked(&names, |_| Standing::Out, tie), None);
    }

    #[test]
    fn turns_go_round() {
        let by = |next| pick((0..3).map(|at| (at, Standing::Ready, turn(at, next, 3))));
        assert_eq!((0..6).filter_map(by).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        let one_out = |next| {
            let standing = |at| if at == 1 { Standing::Out } else { Standing::Ready };
            pick((0..3).map(|at| (at, standing(at), turn(at, next, 3))))
        };
        assert_eq!((0..3).filter_map(one_out).collect::<Vec<_>>(), [0, 2, 2]);
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "xsid=1; sid2=2;sid= ; sid=3".parse().expect("a value"));
        headers.append(COOKIE, "sid=4".parse().expect("a value"));
        assert_eq!(cookie(&headers, "sid"), Some(&b"3"[..]));
        assert_eq!(cookie(&headers, "SID"), None);
    }
}
