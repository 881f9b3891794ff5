//! The way to the store, against real servers: one, through TLS, named by a Sentinel, a Cluster.

use std::sync::Arc;
use std::time::Duration;

use loginward::store::redis::breaker::Breaker;
use loginward::store::redis::outage::{Outage, Sent, Why};
use loginward::store::redis::script::Script;
use loginward::store::redis::settings::{
    Address, Hidden, OwnPem, Place, RedisLogin, RedisSettings, RedisTls,
};
use loginward::store::redis::wire::Wire;
use redis::Value;

use crate::support::{Authority, RedisCluster, RedisServer, Sentineled, wait};

fn at(server: &RedisServer) -> RedisSettings {
    RedisSettings::at(Place::One(address(&server.url())))
}

fn address(url: &str) -> Address {
    let port = url.strip_prefix("redis://127.0.0.1:").unwrap();
    Address::Tcp("127.0.0.1".into(), port.parse().unwrap())
}

fn wire(settings: RedisSettings) -> Wire {
    // a busy machine is no outage
    let settings = RedisSettings { timeout: Duration::from_secs(5), ..settings };
    let settings = RedisSettings { connect_timeout: Duration::from_secs(5), ..settings };
    Wire::new(Arc::new(settings), Arc::new(Breaker::default()))
}

/// Counts up and says how far.
fn count() -> Script {
    Script::new("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
}

async fn counted(wire: &Wire, key: &str) -> Result<Value, Outage> {
    wire.run(&count(), &[key.into()], &[b"2".to_vec()]).await
}

async fn counted_anyway(wire: &Wire, key: &str) -> Result<Value, Outage> {
    wire.run_anyway(&count(), &[key.into()], &[b"2".to_vec()]).await
}

#[tokio::test]
async fn a_script_is_loaded_when_the_server_does_not_know_it() {
    let Some(server) = RedisServer::start() else { return };
    for (what, settings) in [
        ("TCP", at(&server)),
        ("a unix socket", {
            let path = server.unix_url().strip_prefix("unix://").unwrap().into();
            RedisSettings::at(Place::One(Address::Unix(path)))
        }),
    ] {
        let wire = wire(settings);
        assert_eq!(counted(&wire, what).await, Ok(Value::Int(2)), "{what}");
        server.ask(&["SCRIPT", "FLUSH"]);
        assert_eq!(counted(&wire, what).await, Ok(Value::Int(4)), "{what}");
        assert_eq!(wire.command(&redis::cmd("PING")).await, Ok(Value::SimpleString("PONG".into())));
    }
}

#[tokio::test]
async fn a_connection_that_idled_too_long_is_no_outage() {
    let Some(server) = RedisServer::start() else { return };
    let wire = wire(at(&server));
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(2)));
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    // its end is heard of by whoever looks after the connection
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if server.text(&["CLIENT", "LIST"]).lines().count() == 1 {
            break;
        }
    }
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(4)));
    assert!(!wire.breaker().is_open());
}

#[tokio::test]
async fn a_frozen_server_costs_its_timeout_once() {
    let Some(server) = RedisServer::start() else { return };
    let settings = RedisSettings { timeout: Duration::from_millis(50), ..at(&server) };
    let wire = Wire::new(Arc::new(settings), Arc::new(Breaker::default()));
    _ = wire.reach().await.unwrap();
    assert_eq!(counted_anyway(&wire, "a").await, Ok(Value::Int(2)));
    server.freeze();
    let begun = wait::now();
    let outage = counted(&wire, "a").await.unwrap_err();
    assert_eq!((outage.sent, outage.why), (Sent::Perhaps, Why::Late(Duration::from_millis(50))));
    assert!(wire.breaker().is_open());
    for _ in 0..1000 {
        assert_eq!(counted(&wire, "a").await, Err(Outage { sent: Sent::Never, why: Why::Known }));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "the others did not wait");
    server.thaw();
    _ = wire.reach().await.unwrap();
    wire.breaker().close();
    // what it was asked while it stood still it did carry out
    wait::until("it has caught up", || server.text(&["GET", "a"]) == "4");
    assert_eq!(counted_anyway(&wire, "a").await, Ok(Value::Int(6)));
}

#[tokio::test]
async fn a_server_that_came_back_empty_is_noticed() {
    let Some(mut server) = RedisServer::start() else { return };
    let wire = wire(at(&server));
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(2)));
    server.start_again();
    let outage = loop {
        // the first call may find the broken connection before it is told of
        match counted(&wire, "a").await {
            Err(Outage { why: Why::Unreachable(_), .. }) => drop(wire.breaker().close()),
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(outage, Outage { sent: Sent::Never, why: Why::Another });
    assert!(wire.breaker().is_open());
    _ = wire.reach().await.unwrap();
    assert_eq!(counted_anyway(&wire, "a").await, Ok(Value::Int(2)), "it is empty");
    wire.breaker().close();
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(4)));
}

#[tokio::test]
async fn a_server_that_does_not_do_its_work_is_an_outage() {
    let Some(server) = RedisServer::start() else { return };
    let wire = wire(at(&server));
    let refused = async |what: &str| {
        let outage = counted(&wire, "a").await.unwrap_err();
        let Why::Unwilling(says) = &outage.why else { panic!("{what}: {outage:?}") };
        assert!(says.contains(what) && wire.breaker().is_open(), "{what}: {says}");
        assert_eq!(outage.sent, Sent::Never, "{what}");
        wire.breaker().close();
    };
    server.set("maxmemory", "1");
    refused("OOM").await;
    server.set("maxmemory", "0");
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(2)));
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    refused("READONLY").await;
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(4)));
}

#[tokio::test]
async fn a_user_may_do_what_the_server_lets_him() {
    let may = "guard on >secret ~loginward:* -@all +eval +evalsha +incrby +info";
    let words: Vec<&str> = ["--user"].into_iter().chain(may.split(' ')).collect();
    let Some(server) = RedisServer::plan().flags(&words).start() else { return };
    let login = |name: &str, password: &str| RedisSettings {
        login: RedisLogin { username: Some(name.into()), password: Some(Hidden(password.into())) },
        ..at(&server)
    };
    let good = wire(login("guard", "secret"));
    assert_eq!(counted(&good, "loginward:a").await, Ok(Value::Int(2)));
    let outage = counted(&good, "other:a").await.unwrap_err();
    assert!(matches!(&outage.why, Why::Unwilling(says) if says.contains("NOPERM")), "{outage}");
    let bad = wire(login("guard", "guess"));
    let outage = counted(&bad, "loginward:a").await.unwrap_err();
    assert!(matches!(&outage.why, Why::Unwilling(_)), "{outage:?}");
    assert!(!outage.to_string().contains("guess"), "{outage}");
}

#[tokio::test]
async fn a_server_behind_tls_proves_who_it_is() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let plan = RedisServer::plan().tls(&authority, "yes").password("open sesame");
    let Some(server) = plan.start() else { return };
    let tls = |roots: &Authority, own: Option<&Authority>| {
        let own = own.map(|own| {
            let (certificate, key) = own.certificate(&["guard"]);
            OwnPem { certificate: certificate.into_bytes().into(), key: key.into_bytes().into() }
        });
        let place = Place::One(Address::Tls("127.0.0.1".into(), server.port()));
        let login = RedisLogin { username: None, password: Some(Hidden("open sesame".into())) };
        let tls = RedisTls { roots: roots.pem().into_bytes().into(), own };
        wire(RedisSettings { tls, login, ..RedisSettings::at(place) })
    };
    let good = tls(&authority, Some(&authority));
    assert_eq!(counted(&good, "a").await, Ok(Value::Int(2)));
    for (what, bad) in [
        ("nobody knows the server", tls(&stranger, Some(&authority))),
        ("the guard shows nothing", tls(&authority, None)),
        ("nobody knows the guard", tls(&authority, Some(&stranger))),
    ] {
        let outage = counted(&bad, "a").await.unwrap_err();
        assert_eq!(outage.sent, Sent::Never, "{what}: {outage:?}");
    }
}

#[tokio::test]
async fn whom_a_sentinel_names_is_asked() {
    let Some(fleet) = Sentineled::start() else { return };
    let wire = wire(RedisSettings::at(Place::Sentinel {
        primary: "logins".into(),
        // the first is out of reach
        sentinels: vec![
            Address::Tcp("127.0.0.1".into(), 1),
            Address::Tcp("127.0.0.1".into(), fleet.sentinel.port()),
        ],
        login: RedisLogin::default(),
    }));
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(2)));
    let [first, second] = &fleet.servers;
    wait::until("the replica has it", || second.keys() == ["a"]);
    fleet.fail_over();
    wait::until("the other follows", || {
        first.text(&["INFO", "replication"]).contains("role:slave")
    });
    let outage = loop {
        match counted(&wire, "a").await {
            // it was still being demoted
            Ok(_) => {}
            Err(outage) => break outage,
        }
    };
    assert!(wire.breaker().is_open(), "{outage}");
    _ = wire.reach().await.unwrap();
    wire.breaker().close();
    counted(&wire, "b").await.unwrap();
    assert!(second.keys().contains(&"b".to_owned()), "the new primary was asked");
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_an_outage() {
    let Some(fleet) = Sentineled::start() else { return };
    let sentinels = vec![Address::Tcp("127.0.0.1".into(), fleet.sentinel.port())];
    let (primary, login) = ("others".into(), RedisLogin::default());
    let wire = wire(RedisSettings::at(Place::Sentinel { primary, sentinels, login }));
    let outage = counted(&wire, "a").await.unwrap_err();
    assert_eq!(outage.sent, Sent::Never);
    assert!(outage.to_string().contains("not found"), "{outage}");
}

#[tokio::test]
async fn each_key_goes_to_its_node_of_a_cluster() {
    let Some(RedisCluster(nodes)) = RedisCluster::start() else { return };
    // any one leads to the others
    let known = vec![Address::Tcp("127.0.0.1".into(), nodes[1].port())];
    let wire = wire(RedisSettings::at(Place::Cluster(known)));
    for site in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let keys = ["1", "2"].map(|key| format!("loginward:{{{site}}}:{key}").into_bytes());
        let both =
            Script::new("both", "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])");
        assert_eq!(wire.run(&both, &keys, &[]).await, Ok(Value::Int(1)), "{site}");
        assert_eq!(wire.run(&both, &keys, &[]).await, Ok(Value::Int(2)), "{site}");
    }
    let held = nodes.each_ref().map(|node| node.keys().len());
    assert!(held.iter().all(|keys| *keys > 0) && held.iter().sum::<usize>() == 16, "{held:?}");
}

#[tokio::test]
async fn a_node_of_a_cluster_that_ends_is_an_outage() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let known = cluster.urls().iter().map(|url| address(url)).collect();
    let wire = wire(RedisSettings {
        timeout: Duration::from_millis(200),
        ..RedisSettings::at(Place::Cluster(known))
    });
    assert_eq!(counted(&wire, "a").await, Ok(Value::Int(2)));
    cluster.0.iter_mut().for_each(RedisServer::kill);
    counted(&wire, "a").await.unwrap_err();
    assert!(wire.breaker().is_open());
}
