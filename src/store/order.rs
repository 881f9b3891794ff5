//! An order of bounded size, by last use: the counter that is unused for longest makes room.
//!
//! A list whose nodes lie side by side, a few thousand at a time, so that every step costs the same,
//! however many there are, and no step moves them to make room for more.

use crate::store::index::Name;

/// Where a counter stands in an order; good until it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub(super) u32);

/// Stands for no node.
const NONE: u32 = u32::MAX;
/// Stands for the older neighbour of a node without a counter.
const VACANT: u32 = NONE - 1;
/// There are never more nodes.
const MOST: u32 = VACANT - 1;

/// Counters by their last use.
#[derive(Debug)]
pub struct Order {
    nodes: Nodes,
    /// The first of the nodes without a counter, which are linked by `newer`.
    vacant: u32,
    oldest: u32,
    newest: u32,
    count: usize,
    capacity: usize,
}

/// So many lie side by side.
const CHUNK: usize = 4096;

/// Nodes by their numbers. The first chunk grows as it has to: there may never be more.
#[derive(Debug, Default)]
struct Nodes(Vec<Vec<Node>>);

/// A counter by what finds it again in the index: its name, and that this is its place.
#[derive(Debug)]
struct Node {
    name: Name,
    older: u32,
    newer: u32,
}

impl Nodes {
    fn get(&self, at: u32) -> Option<&Node> {
        self.0.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
    }

    fn get_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.0.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }

    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    fn push(&mut self, node: Node) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(node),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(node);
                self.0.push(chunk);
            }
            None => self.0.push(vec![node]),
        }
    }
}

impl Order {
    /// Room for `capacity` counters, at least one and at most four thousand million.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(MOST).clamp(1, MOST);
        Self {
            nodes: Nodes::default(),
            vacant: NONE,
            oldest: NONE,
            newest: NONE,
            count: 0,
            capacity: capacity as usize,
        }
    }

    /// Adds a counter as the latest used. Returns its place, and the counter that had to make room
    /// for it, if one had to, with the place that this one had.
    pub fn insert(&mut self, name: Name) -> (Place, Option<(Name, Place)>) {
        let oldest = Place(self.oldest);
        let evicted = if self.count < self.capacity { None } else { self.remove(oldest) };
        let evicted = evicted.map(|name| (name, oldest));
        let node = Node { name, older: NONE, newer: NONE };
        let at = self.vacant;
        let at = match self.nodes.get_mut(at) {
            Some(vacant) => {
                self.vacant = vacant.newer;
                *vacant = node;
                at
            }
            None => {
                self.nodes.push(node);
                // there are never more of them than the capacity
                u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
            }
        };
        self.count += 1;
        self.link_newest(at);
        (Place(at), evicted)
    }

    /// The counter at `place` is used: others make room before it does.
    pub fn touch(&mut self, place: Place) {
        if place.0 != self.newest && self.name(place).is_some() {
            self.unlink(place.0);
            self.link_newest(place.0);
        }
    }

    /// Takes the counter at `place` out.
    pub fn remove(&mut self, place: Place) -> Option<Name> {
        let name = self.name(place)?;
        self.unlink(place.0);
        if let Some(node) = self.nodes.get_mut(place.0) {
            (node.older, node.newer) = (VACANT, self.vacant);
            self.vacant = place.0;
        }
        self.count -= 1;
        Some(name)
    }

    /// Which counter is at `place`, if one is.
    fn name(&self, place: Place) -> Option<Name> {
        self.nodes.get(place.0).filter(|node| node.older != VACANT).map(|node| node.name)
    }

    fn link_newest(&mut self, at: u32) {
        let older = std::mem::replace(&mut self.newest, at);
        if let Some(node) = self.nodes.get_mut(at) {
            (node.older, node.newer) = (older, NONE);
        }
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(Node { older, newer, .. }) = self.nodes.get(at) else { return };
        let (older, newer) = (*older, *newer);
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert,
        Remove(usize),
        Touch(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Insert),
            1 => any::<usize>().prop_map(Step::Remove),
            2 => any::<usize>().prop_map(Step::Touch),
        ]
    }

    #[test]
    fn a_counter_takes_no_more_than_12_bytes_in_an_order() {
        assert!(size_of::<Node>() <= 12, "{}", size_of::<Node>());
        let mut order = Order::new(u64::MAX);
        let count = 2 * CHUNK as u32 + 1;
        for at in 0..count {
            assert_eq!(order.insert(Name(at)).0, Place(at));
            assert_eq!(order.nodes.len(), at as usize + 1);
        }
        let room: usize = order.nodes.0.iter().map(Vec::capacity).sum();
        assert_eq!(room, 3 * CHUNK);
        for at in (0..count).rev() {
            assert_eq!(order.remove(Place(at)), Some(Name(at)));
        }
        assert_eq!(order.count, 0);
    }

    proptest! {
        /// It does what a plain queue would do, which is searched from end to end.
        #[test]
        fn the_one_unused_for_longest_makes_room(
            capacity in 1_usize..6,
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let mut order = Order::new(capacity as u64);
            let mut plain: VecDeque<(Name, Place)> = VecDeque::new();
            for (name, step) in (0..).map(Name).zip(steps) {
                match step {
                    Step::Insert => {
                        let (place, evicted) = order.insert(name);
                        let expected =
                            if plain.len() == capacity { plain.pop_front() } else { None };
                        prop_assert_eq!(evicted, expected);
                        plain.push_back((name, place));
                    }
                    Step::Remove(which) if !plain.is_empty() => {
                        let (name, place) = plain.remove(which % plain.len()).expect("in range");
                        prop_assert_eq!(order.remove(place), Some(name));
                        prop_assert!(order.remove(place).is_none(), "it is out");
                    }
                    Step::Touch(which) if !plain.is_empty() => {
                        let used = plain.remove(which % plain.len()).expect("in range");
                        order.touch(used.1);
                        plain.push_back(used);
                    }
                    Step::Remove(_) | Step::Touch(_) => {}
                }
                prop_assert!(order.nodes.len() <= capacity, "nodes are used again");
            }
            for (name, place) in plain {
                prop_assert_eq!(order.remove(place), Some(name));
            }
            prop_assert_eq!((order.oldest, order.newest, order.count), (NONE, NONE, 0));
        }
    }
}
