//! Whose connections have to go when there is no room for more: those of the address that has most
//! that only wait.
//!
//! So a flood from one address sheds itself, and others lose a connection only where everybody has
//! few; of those, the one that has waited longest.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::IpAddr;

use super::client::{ClientAddr, Prefixes};
use crate::clock::Moment;

/// Addresses of one household or server are one.
const TOGETHER: Prefixes = Prefixes { v4: 32, v6: 64 };

/// A connection that waits for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whose it is.
    pub address: IpAddr,
    /// How many places it takes.
    pub places: usize,
    /// Since when it has waited.
    pub since: Moment,
}

/// Chooses those of `waiting` that have to go so that `places` become free, by number; all of them
/// where that is not enough.
#[must_use]
pub fn choose(waiting: &[Waiting], places: usize) -> Vec<usize> {
    let mut addresses: BTreeMap<_, Vec<(Moment, usize, usize)>> = BTreeMap::new();
    for (at, one) in waiting.iter().enumerate() {
        let network = ClientAddr::new(one.address).network(TOGETHER);
        addresses.entry(network).or_default().push((one.since, at, one.places));
    }
    let groups = addresses.into_values().map(|mut group| {
        group.sort_unstable();
        VecDeque::from(group)
    });
    // the largest first; of groups that are alike, the one that has waited longest
    let order = |group: &VecDeque<(Moment, usize, usize)>| {
        let all: usize = group.iter().map(|(_, _, places)| places).sum();
        let oldest = group.front().map_or(Moment::NEVER, |(since, _, _)| *since);
        (all, std::cmp::Reverse(oldest))
    };
    let mut largest: BinaryHeap<_> = groups.map(|group| (order(&group), group)).collect();
    let (mut chosen, mut free) = (Vec::new(), 0);
    while free < places
        && let Some(((all, _), mut group)) = largest.pop()
    {
        let Some((_, at, own)) = group.pop_front() else { continue };
        chosen.push(at);
        free += own;
        if let Some((next, _, _)) = group.front() {
            largest.push(((all - own, std::cmp::Reverse(*next)), group));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiting(list: &[(&str, usize, u64)]) -> Vec<Waiting> {
        let one = |(address, places, since): &(&str, usize, u64)| Waiting {
            address: address.parse().expect("an address"),
            places: *places,
            since: Moment(*since),
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn the_address_with_most_gives_way_and_its_oldest_first() {
        let many = [("10.0.0.1", 1, 5), ("10.0.0.2", 1, 1), ("10.0.0.1", 1, 4), ("10.0.0.1", 1, 6)];
        assert_eq!(choose(&waiting(&many), 1), [2]);
        assert_eq!(choose(&waiting(&many), 2), [2, 0]);
        // from then on everybody has one, and the oldest goes
        assert_eq!(choose(&waiting(&many), 3), [2, 0, 1]);
        assert_eq!(choose(&waiting(&many), 9), [2, 0, 1, 3]);
        assert_eq!(choose(&waiting(&many), 0), [0; 0]);
        assert_eq!(choose(&[], 3), [0; 0]);
    }

    #[test]
    fn a_connection_with_many_streams_takes_many_places() {
        let list = [("10.0.0.1", 1, 1), ("10.0.0.1", 1, 2), ("10.0.0.2", 7, 3)];
        assert_eq!(choose(&waiting(&list), 3), [2]);
        assert_eq!(choose(&waiting(&list), 8), [2, 0]);
    }

    #[test]
    fn neighbours_in_ipv6_are_one_and_mapped_addresses_are_ipv4() {
        let list = [("10.0.0.1", 1, 1), ("2001:db8::1", 1, 2), ("2001:db8::9", 1, 3)];
        assert_eq!(choose(&waiting(&list), 1), [1]);
        let list = [("2001:db8::1", 1, 1), ("10.0.0.1", 1, 3), ("::ffff:10.0.0.1", 1, 2)];
        assert_eq!(choose(&waiting(&list), 1), [2]);
    }

    proptest! {
        #[test]
        fn enough_go_each_once_and_nobody_below_the_fair_share(
            list in prop::collection::vec((0..5_u8, 0..100_u64), 0..60), places in 0..70_usize,
        ) {
            let list: Vec<_> = list.into_iter().map(|(host, since)| Waiting {
                address: [10, 0, 0, host].into(), places: 1, since: Moment(since),
            }).collect();
            let mut chosen = choose(&list, places);
            prop_assert_eq!(chosen.len(), places.min(list.len()));
            let left = |host: u8| list.iter().enumerate().filter(|(at, one)| {
                one.address == IpAddr::from([10, 0, 0, host]) && !chosen.contains(at)
            }).count();
            let lost = |host: u8| chosen.iter().filter(|at| {
                list[**at].address == IpAddr::from([10, 0, 0, host])
            }).count();
            for one in 0..5 {
                for other in 0..5 {
                    prop_assert!(lost(one) == 0 || left(other) <= left(one) + 1);
                }
            }
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert_eq!(chosen.len(), places.min(list.len()));
        }
    }
}
