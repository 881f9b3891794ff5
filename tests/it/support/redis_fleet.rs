//! Several `redis-server`s that know of each other: a primary with a replica and a Sentinel, and a
//! Cluster.

use super::redis::RedisServer;
use super::wait;

/// A primary, its replica, and a Sentinel that has one of them be the primary, `logins` by name.
pub struct Sentineled {
    /// At first the primary and the replica.
    pub servers: [RedisServer; 2],
    /// The Sentinel.
    pub sentinel: RedisServer,
}

impl Sentineled {
    /// Starts them and waits until the replica follows. `None`: they are not installed here.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let primary = RedisServer::plan().flags(&["--repl-diskless-sync-delay", "0"]).start()?;
        let port = primary.port().to_string();
        let replica = RedisServer::plan().flags(&["--replicaof", "127.0.0.1", &port]).start()?;
        wait::until("the replica follows", || {
            replica.text(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let sentinel = RedisServer::plan().sentinel(&format!(
            "sentinel monitor logins 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds logins 300\n\
             sentinel failover-timeout logins 2000\n"
        ));
        let sentinel = sentinel.start()?;
        // it asks the primary for its replicas every ten seconds, and once at the beginning
        wait::until("the Sentinel knows the replica", || {
            let known = sentinel.ask(&["SENTINEL", "REPLICAS", "logins"]);
            let known: Vec<std::collections::HashMap<String, String>> =
                ::redis::from_redis_value(known).unwrap();
            known.iter().any(|replica| {
                let is = |key: &str, value: &str| replica.get(key).is_some_and(|own| own == value);
                is("master-link-status", "ok") && is("flags", "slave")
            })
        });
        Some(Self { servers: [primary, replica], sentinel })
    }

    /// The port of whom the Sentinel calls the primary now.
    pub fn primary(&self) -> u16 {
        let named = self.sentinel.text(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "logins"]);
        named.lines().last().unwrap().parse().unwrap()
    }

    /// Has the replica be the primary, and waits until it is.
    #[track_caller]
    pub fn fail_over(&self) {
        self.sentinel.ask(&["SENTINEL", "FAILOVER", "logins"]);
        self.wait_for_failover();
    }

    /// Waits until the second server is the primary.
    #[track_caller]
    pub fn wait_for_failover(&self) {
        let [_, second] = &self.servers;
        wait::until("the replica is the primary", || {
            self.primary() == second.port()
                && second.text(&["INFO", "replication"]).contains("role:master")
        });
    }
}

/// Three primaries with a third of the slots each.
pub struct RedisCluster(pub [RedisServer; 3]);

impl RedisCluster {
    /// Starts them and waits until each knows that all is well. `None`: they are not installed.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let node = || RedisServer::plan().cluster().start();
        let nodes = [node()?, node()?, node()?];
        let slots = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (at, (node, (first, last))) in nodes.iter().zip(slots).enumerate() {
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        let [first, others @ ..] = &nodes;
        for other in others {
            let [port, bus] = [other.port(), other.bus()].map(|port| port.to_string());
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        wait::until("each node knows all slots", || {
            nodes.iter().all(|node| {
                let info = node.text(&["CLUSTER", "INFO"]);
                let is = |line: &str| info.lines().any(|own| own == line);
                is("cluster_state:ok") && is("cluster_known_nodes:3")
            })
        });
        Some(Self(nodes))
    }

    /// Where guards find it.
    pub fn urls(&self) -> Vec<String> {
        self.0.iter().map(RedisServer::url).collect()
    }

    /// Has each primary followed by a replica, which takes over when it ends. `None`: they are not
    /// installed.
    #[track_caller]
    pub fn replicas(&self) -> Option<[RedisServer; 3]> {
        let node = || RedisServer::plan().cluster().start();
        let replicas = [node()?, node()?, node()?];
        for (replica, primary) in replicas.iter().zip(&self.0) {
            let [port, bus] = [primary.port(), primary.bus()].map(|port| port.to_string());
            replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            let id = primary.text(&["CLUSTER", "MYID"]);
            wait::until("the replica knows the primary", || {
                replica.try_ask(&["CLUSTER", "REPLICATE", &id]).is_ok()
            });
        }
        wait::until("each replica follows, and everybody knows", || {
            let is_up = |replica: &RedisServer| {
                replica.text(&["INFO", "replication"]).contains("master_link_status:up")
            };
            let knows = |node: &RedisServer| {
                let slaves = node.text(&["CLUSTER", "NODES"]);
                slaves.lines().filter(|line| line.contains("slave")).count() == 3
            };
            replicas.iter().all(is_up) && self.0.iter().chain(&replicas).all(knows)
        });
        Some(replicas)
    }
}
