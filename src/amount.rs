//! How many there are, in words.

/// So many counters.
#[must_use]
pub fn counters(count: u64) -> String {
    several(count, "counter", "counters")
}

/// So many locks by hand.
#[must_use]
pub fn locks_by_hand(count: u64) -> String {
    several(count, "lock by hand", "locks by hand")
}

fn several(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_others_are_several() {
        assert_eq!([0, 1, 2].map(counters), ["0 counters", "1 counter", "2 counters"]);
        assert_eq!([0, 1].map(locks_by_hand), ["0 locks by hand", "1 lock by hand"]);
    }
}
