//! Promise 1, for many at a time: an exact cap, whatever the threads do.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;

use super::*;

const USERS: u32 = 4;
const CLIENTS: u32 = 6;
const BY_USER: u32 = 7;
const BY_CLIENT: u32 = 9;
const THREADS: u64 = 4;
const TASKS: u64 = 60;

/// For each counter: guesses that are with the upstream, or failed there.
#[derive(Default)]
struct Used {
    users: [AtomicU32; USERS as usize],
    clients: [AtomicU32; CLIENTS as usize],
}

impl Used {
    fn counters(&self, user: u32, client: u32) -> [(&AtomicU32, u32); 2] {
        [(&self.users[user as usize], BY_USER), (&self.clients[client as usize], BY_CLIENT)]
    }

    /// That of a name or an address.
    fn of(&self, value: &str) -> &AtomicU32 {
        let number = |text: &str| text.parse::<usize>().expect("a number");
        match value.strip_prefix('u') {
            Some(user) => &self.users[number(user)],
            None => &self.clients[number(value.rsplit('.').next().expect("an address"))],
        }
    }

    fn add(&self, user: u32, client: u32, guesses: u32) {
        for (counter, most) in self.counters(user, client) {
            let used = counter.fetch_add(guesses, Ordering::SeqCst) + guesses;
            assert!(used <= most, "{used} of {most} were forwarded");
        }
    }

    fn give_back(&self, user: u32, client: u32, guesses: u32) {
        for (counter, _) in self.counters(user, client) {
            counter.fetch_sub(guesses, Ordering::SeqCst);
        }
    }
}

/// Small and foreseeable.
struct Random(u64);

impl Random {
    const fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % bound as u64) as u32
    }
}

/// One client's attempts, one after the other.
async fn attempts(world: Arc<World>, used: Arc<Used>, mut random: Random) {
    for _ in 0..20 {
        let (user, client) = (random.below(USERS), random.below(CLIENTS));
        let guesses = 1 + u32::from(random.below(8) == 0);
        let claim = world.claim_of(&format!("u{user}"), client, guesses);
        let asking = world.store.admit(claim, TERMS, WAIT);
        let permit = if random.below(16) == 0 {
            // somebody who does not wait
            let mut asking = pin!(asking);
            match poll(&mut asking) {
                Poll::Ready(admitted) => admitted,
                Poll::Pending => continue,
            }
        } else {
            asking.await
        };
        let Ok(permit) = permit else { continue };
        used.add(user, client, guesses);
        for _ in 0..random.below(4) {
            tokio::task::yield_now().await;
        }
        match random.below(8) {
            0 => drop(permit.settled(FAILURE)),
            1 => drop(permit), // unsettled: a failure
            2..5 => {
                used.give_back(user, client, guesses);
                drop(permit.settled(Settlement::GivenBack));
            }
            _ => {
                // one of them was right
                used.give_back(user, client, 1);
                drop(permit.settled(Settlement::Success { reset: ResetOnSuccess::None }));
            }
        }
    }
}

/// One thread's clients, all at once.
fn crowd(world: &Arc<World>, used: &Arc<Used>, seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let random = Random(seed + task);
        let attempts = attempts(Arc::clone(world), Arc::clone(used), random);
        tasks.spawn_on(attempts, runtime.handle());
    }
    let done = runtime.block_on(tasks.join_all());
    assert_eq!(done.len(), TASKS as usize, "no attempt goes beyond a limit");
}

#[test]
fn however_many_threads_guess_no_counter_forwards_more_than_its_limit() {
    let limits = [limit(Parameter::Username, BY_USER), limit(Parameter::IpAddress, BY_CLIENT)];
    let world = Arc::new(World::new(1000, 1000, &limits));
    for round in 1..=5 {
        let used = Arc::new(Used::default());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (world, used) = (&world, &used);
                scope.spawn(move || crowd(world, used, round * 1_000_003 + thread * 1009 + 1));
            }
        });
        let sizes = world.store.sizes();
        assert_eq!((sizes.places, sizes.waiting), (0, 0), "all places are back");
        for row in world.rows() {
            let failures = used.of(&row.parameters[0].1).load(Ordering::SeqCst);
            assert_eq!(row.failures, failures, "the books agree: {row:?}");
            assert_eq!(row.locked_until.is_some(), row.failures == row.of, "{row:?}");
        }
        let failures: u32 = used.users.iter().map(|user| user.load(Ordering::SeqCst)).sum();
        assert!(failures > 0, "somebody failed");
        world.clock.advance(COOL_OFF);
        assert_eq!(world.rows(), [], "a cool-off later all is forgotten");
    }
}
