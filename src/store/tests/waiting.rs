//! Promise 1, for one at a time: who waits, for how long, and what ends it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

type Admitting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Permit, Refusal>> + 'a>>;

impl World {
    /// An attempt that has to wait.
    #[track_caller]
    fn waiter(&self, user: &str, client: u32) -> Admitting<'_> {
        let mut waiter = self.asking(user, client, TERMS);
        assert!(poll(&mut waiter).is_pending(), "{user} has to wait");
        waiter
    }

    fn asking(&self, user: &str, client: u32, terms: Terms) -> Admitting<'_> {
        Box::pin(self.store.admit(self.claim(user, client), terms, WAIT))
    }
}

#[track_caller]
fn refusal(waiter: &mut Admitting<'_>) -> Refusal {
    match poll(waiter) {
        Poll::Ready(Err(refusal)) => refusal,
        other @ (Poll::Ready(Ok(_)) | Poll::Pending) => panic!("it is not refused: {other:?}"),
    }
}

#[track_caller]
fn permit(waiter: &mut Admitting<'_>) -> Permit {
    match poll(waiter) {
        Poll::Ready(Ok(permit)) => permit,
        other @ (Poll::Ready(Err(_)) | Poll::Pending) => panic!("it is not admitted: {other:?}"),
    }
}

#[test]
fn a_waiter_is_busy_after_exactly_the_wait_and_nothing_is_counted() {
    let world = World::by_username(1);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let mut waiter = world.waiter("u", 2);
    world.clock.advance(WAIT - Duration::from_millis(1));
    assert!(poll(&mut waiter).is_pending());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(refusal(&mut waiter), Refusal::Busy);
    drop(waiter);
    assert_eq!((world.store.sizes().waiting, world.rows().len()), (0, 0));
    drop(held.settled(Settlement::GivenBack));
    assert_eq!(world.store.sizes(), Sizes::default());
}

#[test]
fn without_a_wait_the_next_is_busy_at_once() {
    let world = World::by_username(1);
    let _held = world.admit(&world.claim("u", 1)).expect("admitted");
    let mut asking: Admitting<'_> =
        Box::pin(world.store.admit(world.claim("u", 2), TERMS, Duration::ZERO));
    assert_eq!(refusal(&mut asking), Refusal::Busy);
}

#[test]
fn a_place_that_comes_free_goes_to_whoever_came_first() {
    let world = World::by_username(1);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let (mut first, mut second) = (world.waiter("u", 2), world.waiter("u", 3));
    drop(held.settled(Settlement::GivenBack));
    assert!(poll(&mut second).is_pending());
    let held = permit(&mut first);
    drop(held.settled(Settlement::Success { reset: ResetOnSuccess::None }));
    drop(permit(&mut second).settled(Settlement::GivenBack));
    assert_eq!(world.store.sizes(), Sizes::default());
}

#[test]
fn whoever_comes_later_does_not_overtake_those_who_wait() {
    let world = World::by_username(2);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let two = world.claim_of("u", 2, 2);
    let mut first: Admitting<'_> = Box::pin(world.store.admit(two, TERMS, WAIT));
    assert!(poll(&mut first).is_pending(), "two guesses do not fit beside one");
    // one guess would fit
    let mut second = world.waiter("u", 3);
    drop(held.settled(Settlement::GivenBack));
    let both = permit(&mut first);
    assert!(poll(&mut second).is_pending());
    drop(both.settled(Settlement::GivenBack));
    drop(permit(&mut second).settled(Settlement::GivenBack));
}

#[test]
fn a_counter_that_locks_answers_its_waiters_at_once() {
    let world = World::by_username(2);
    let held: Vec<_> =
        (1..=2).map(|client| world.admit(&world.claim("u", client)).expect("admitted")).collect();
    let mut waiters = [world.waiter("u", 3), world.waiter("u", 4)];
    for permit in held {
        drop(permit.settled(FAILURE));
    }
    for waiter in &mut waiters {
        let Refusal::Locked { until, keys } = refusal(waiter) else { panic!("it is locked") };
        assert_eq!(until, world.clock.now().after(COOL_OFF));
        assert_eq!(keys.len(), 1);
    }
    assert_eq!(world.counters_of("u"), [(2, true)], "waiting locks nobody");
}

#[test]
fn a_reload_that_locks_a_counter_answers_all_who_need_it() {
    let both = |by_name, by_address| {
        [limit(Parameter::Username, by_name), limit(Parameter::IpAddress, by_address)]
    };
    let mut world = World::new(1000, 1000, &both(3, 3));
    world.fail("w", 9).expect("admitted");
    let held = [1, 2, 3].map(|client| world.admit(&world.claim("u", client)).expect("admitted"));
    let store = Arc::clone(&world.store);
    let claims = [world.claim("u", 4), world.claim("u", 9)];
    let mut waiters =
        claims.map(|claim| Box::pin(store.admit(claim, TERMS, WAIT)) as Admitting<'_>);
    assert!(waiters.iter_mut().all(|waiter| poll(waiter).is_pending()));
    world.reload(&both(3, 1));
    assert!(poll(&mut waiters[0]).is_pending());
    assert!(matches!(refusal(&mut waiters[1]), Refusal::Locked { .. }));
    drop(held.map(|permit| permit.settled(Settlement::GivenBack)));
}

#[test]
fn a_waiter_delays_nobody_who_does_not_need_its_counter() {
    let world =
        World::new(1000, 1000, &[limit(Parameter::Username, 1), limit(Parameter::IpAddress, 2)]);
    let _held = world.admit(&world.claim("u", 1)).expect("admitted");
    let _waiter = world.waiter("u", 1);
    // the second place of client 1 is free, for the waiter holds none
    let other = world.admit(&world.claim("v", 1)).expect("admitted");
    drop(other.settled(Settlement::GivenBack));
}

#[test]
fn a_waiter_waits_for_one_counter_after_the_other() {
    let world =
        World::new(1000, 1000, &[limit(Parameter::Username, 1), limit(Parameter::IpAddress, 1)]);
    let by_name = world.admit(&world.claim("u", 1)).expect("admitted");
    let by_address = world.admit(&world.claim("v", 2)).expect("admitted");
    let mut waiter = world.waiter("u", 2);
    drop(by_name.settled(Settlement::GivenBack));
    assert!(poll(&mut waiter).is_pending());
    assert_eq!(world.store.sizes().places, 2, "it holds no place meanwhile");
    drop(by_address.settled(Settlement::GivenBack));
    drop(permit(&mut waiter).settled(Settlement::GivenBack));
}

#[test]
fn failures_that_are_forgotten_let_a_waiter_go_on() {
    let world = World::by_username(2);
    world.fail("u", 1).expect("admitted");
    world.clock.advance(COOL_OFF - Duration::from_secs(5));
    let _held = world.admit(&world.claim("u", 1)).expect("admitted");
    let mut waiter = world.waiter("u", 2);
    world.clock.advance(Duration::from_millis(4999));
    assert!(poll(&mut waiter).is_pending());
    world.clock.advance(Duration::from_millis(1));
    drop(permit(&mut waiter).settled(Settlement::GivenBack));
}

#[test]
fn a_reset_and_a_raised_limit_let_a_waiter_go_on() {
    let mut world = World::by_username(2);
    world.fail("u", 1).expect("admitted");
    let _held = world.admit(&world.claim("u", 1)).expect("admitted");
    let mut waiter = world.waiter("u", 2);
    assert_eq!(world.store.reset(&Selector::default(), Reset::Everything).counters, 1);
    let second = permit(&mut waiter);
    drop(waiter);
    let claim = world.claim("u", 3);
    let store = Arc::clone(&world.store);
    let mut third: Admitting<'_> = Box::pin(store.admit(claim, TERMS, WAIT));
    assert!(poll(&mut third).is_pending());
    world.reload(&[limit(Parameter::Username, 3)]);
    drop(permit(&mut third).settled(Settlement::GivenBack));
    drop(second.settled(Settlement::GivenBack));
}

#[test]
fn whoever_stops_waiting_leaves_nothing_behind() {
    let world = World::by_username(1);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let (first, mut second) = (world.waiter("u", 2), world.waiter("u", 3));
    drop(first);
    assert_eq!(world.store.sizes().waiting, 1);
    drop(held.settled(Settlement::GivenBack));
    let mut third = world.waiter("u", 4);
    // the place was granted already when it goes
    assert!(poll(&mut third).is_pending());
    drop(permit(&mut second).settled(Settlement::GivenBack));
    drop(third);
    assert_eq!(world.store.sizes(), Sizes::default());
    assert_eq!(world.rows(), []);
}

#[test]
fn a_lock_by_hand_refuses_whoever_was_waiting_when_it_came() {
    let world = World::by_username(1);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let mut waiter = world.waiter("u", 2);
    let account = Some(held.claim().expect("a claim").subject.candidates[0].account);
    let hand = HandLock { reason: Some("found out".into()), ..HandLock::until(Moment::NEVER) };
    let selector = Selector { account, ..Selector::default() };
    world.store.lock_by_hand(selector, hand.clone(), &rules()).expect("room");
    drop(held.settled(Settlement::GivenBack));
    assert_eq!(refusal(&mut waiter), Refusal::ByHand(hand));
    assert_eq!(world.store.sizes(), Sizes::default(), "it gave its place back");
}

#[test]
fn so_many_may_wait_and_no_more() {
    let world = World::by_username(1);
    let _held = world.admit(&world.claim("u", 1)).expect("admitted");
    let waiters: Vec<_> = (0..256).map(|client| world.waiter("u", client)).collect();
    assert_eq!(refusal(&mut world.asking("u", 1, TERMS)), Refusal::Busy);
    let _other = world.admit(&world.claim("v", 1)).expect("admitted");
    let mut fits = world.asking("v", 1, TERMS);
    assert!(poll(&mut fits).is_pending(), "another counter has a queue of its own");
    drop(waiters);
    assert!(poll(&mut world.asking("u", 1, TERMS)).is_pending());
}

#[test]
fn all_that_wait_are_bounded_in_number_and_in_bytes() {
    let world = World::by_username(1);
    let users: Vec<String> = (0..=16).map(|user| format!("u{user}")).collect();
    let held: Vec<_> =
        users.iter().map(|user| world.admit(&world.claim(user, 1)).expect("admitted")).collect();
    let mut waiters = Vec::new();
    for user in &users[..16] {
        waiters.extend((0..256).map(|client| world.waiter(user, client)));
    }
    assert_eq!(world.store.sizes().waiting, 4096);
    assert_eq!(refusal(&mut world.asking("u16", 1, TERMS)), Refusal::Busy);
    waiters.clear();
    let large = Terms { bytes: 1024 * 1024, ..TERMS };
    for _ in 0..64 {
        let mut waiter = world.asking("u16", 1, large);
        assert!(poll(&mut waiter).is_pending());
        waiters.push(waiter);
    }
    let one_byte = Terms { bytes: 1, ..TERMS };
    assert_eq!(refusal(&mut world.asking("u16", 1, one_byte)), Refusal::Busy);
    waiters.pop();
    assert!(poll(&mut world.asking("u16", 1, large)).is_pending());
    drop(held);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn whoever_gets_its_answer_is_woken_and_the_others_sleep_on() {
    let world = World::by_username(1);
    let held = world.admit(&world.claim("u", 1)).expect("admitted");
    let woken: Vec<Arc<Woken>> = (0..3).map(|_| Arc::default()).collect();
    let mut waiters: Vec<_> = (2..5).map(|client| world.asking("u", client, TERMS)).collect();
    for (waiter, woken) in waiters.iter_mut().zip(&woken) {
        let waker = Waker::from(Arc::clone(woken));
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let times = || woken.iter().map(|woken| woken.0.load(Ordering::SeqCst)).collect::<Vec<_>>();
    drop(held.settled(Settlement::GivenBack));
    assert_eq!(times(), [1, 0, 0]);
    drop(permit(&mut waiters[0]).settled(FAILURE));
    assert_eq!(times(), [1, 1, 1], "the counter has locked");
}

#[test]
fn several_guesses_that_no_longer_fit_elsewhere_hold_nobody_up() {
    let world =
        World::new(1000, 1000, &[limit(Parameter::Username, 4), limit(Parameter::IpAddress, 4)]);
    let held = world.admit(&world.claim_of("u", 1, 2)).expect("admitted");
    let elsewhere = world.admit(&world.claim_of("other", 2, 2)).expect("admitted");
    let three = world.claim_of("u", 2, 3);
    let mut hopeless: Admitting<'_> = Box::pin(world.store.admit(three, TERMS, WAIT));
    assert!(poll(&mut hopeless).is_pending(), "each counter alone may still have room for three");
    let mut behind = world.waiter("u", 3);
    assert_eq!(elsewhere.settled(FAILURE).len(), 2);
    assert_eq!(refusal(&mut hopeless), Refusal::TooManyGuesses);
    drop(permit(&mut behind));
    drop(held);
}

#[test]
fn whoever_waits_stays_in_its_queue_while_that_counter_holds_it_up() {
    let limits = [limit(Parameter::Username, 3), limit(Parameter::IpAddress, 4)];
    let world = World::new(1000, 1000, &limits);
    let of_user = world.admit(&world.claim("u", 1)).expect("admitted");
    let of_client = world.admit(&world.claim_of("other", 2, 2)).expect("admitted");
    let three = world.claim_of("u", 2, 3);
    let mut waits: Admitting<'_> = Box::pin(world.store.admit(three, TERMS, WAIT));
    assert!(poll(&mut waits).is_pending());
    drop(of_user.settled(Settlement::GivenBack));
    // now the client's counter is what it waits for; the user's gets full as well
    let of_user = world.admit(&world.claim("u", 3)).expect("it waits there no more");
    let mut behind = world.waiter("third", 2);
    assert!(poll(&mut waits).is_pending());
    assert!(poll(&mut behind).is_pending(), "looking changes nothing");
    drop(of_client.settled(Settlement::GivenBack));
    assert!(poll(&mut waits).is_pending(), "the user's counter is still full");
    drop(permit(&mut behind));
    drop(of_user);
}
