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
            0 => drop(permit.settle(FAILURE)),
            1 => drop(permit), // unsettled: a failure
            2..5 => {
                used.give_back(user, client, guesses);
                drop(permit.settle(Settlement::GivenBack));
            }
            _ => {
                used.give_back(user, client, guesses);
                drop(permit.settle(Settlement::Success { reset: ResetOnSuccess::None }));
            }
        }
    }
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
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    let mut tasks = JoinSet::new();
                    for task in 0..TASKS {
                        let random = Random(round * 1_000_003 + thread * 1009 + task + 1);
                        let (world, used) = (Arc::clone(world), Arc::clone(used));
                        tasks.spawn_on(
                            attempts(world, used, random),
                            runtime.as_ref().expect("a runtime").handle(),
                        );
                    }
                    runtime.expect("a runtime").block_on(async {
                        while let Some(done) = tasks.join_next().await {
                            done.expect("no attempt goes beyond a limit");
                        }
                    });
                });
            }
        });
        let sizes = world.store.sizes();
        assert_eq!((sizes.places, sizes.waiting, sizes.active), (0, 0, 0), "all places are back");
        // the books agree
        for row in world.rows() {
            let value = &row.parameters[0].1;
            let counter = match value.strip_prefix('u') {
                Some(user) => &used.users[user.parse::<usize>().expect("a user")],
                None => {
                    let client = value.rsplit('.').next().expect("an address");
                    &used.clients[client.parse::<usize>().expect("a client")]
                }
            };
            assert_eq!(row.failures, counter.load(Ordering::SeqCst), "{value}");
            assert_eq!(row.locked_until.is_some(), row.failures == row.of, "{value}");
        }
        let failures: u32 = used.users.iter().map(|user| user.load(Ordering::SeqCst)).sum();
        assert!(failures > 0, "somebody failed");
        world.clock.advance(COOL_OFF);
        assert_eq!(world.rows(), [], "a cool-off later all is forgotten");
    }
}
