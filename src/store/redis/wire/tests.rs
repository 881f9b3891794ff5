//! What is asked of a server that is none, or a strange one. Real ones are in `tests/it`.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::super::breaker::Breaker;
use super::super::outage::{Sent, Why};
use super::super::script::Script;
use super::super::settings::{Address, Place, RedisSettings};
use super::Wire;

fn wire(port: u16) -> Wire {
    let place = Place::One(Address::Tcp("127.0.0.1".into(), port));
    Wire::new(Arc::new(RedisSettings::at(place)), Arc::new(Breaker::default()))
}

#[tokio::test]
async fn where_nobody_listens_the_breaker_opens_and_nobody_asks_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = wire(listener.local_addr().unwrap().port());
    drop(listener);
    let script = Script::new("one", "return 1");
    let outage = wire.run(&script, &[], &[]).await.unwrap_err();
    assert_eq!(outage.sent, Sent::Never, "{outage}");
    assert!(matches!(outage.why, Why::Unreachable(_)), "{outage:?}");
    assert!(wire.breaker().is_open());
    assert_eq!(wire.run(&script, &[], &[]).await.unwrap_err().why, Why::Known);
    let anyway = wire.run_anyway(&script, &[], &[]).await.unwrap_err();
    assert!(matches!(anyway.why, Why::Unreachable(_)), "{anyway:?}");
}

#[tokio::test]
async fn whoever_says_nothing_costs_what_connecting_may_take() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = wire(listener.local_addr().unwrap().port());
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // until it is given up
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let outage = wire.command(&redis::cmd("PING")).await.unwrap_err();
    assert_eq!(outage.why, Why::Unconnected(Duration::from_millis(200)));
    assert_eq!(outage.sent, Sent::Never);
    silent.await.unwrap();
}
