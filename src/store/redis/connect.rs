//! How a connection to the store comes to be: one server, the one that Sentinels name, or a Cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    TlsCertificates, TlsMode, Value,
};

use super::settings::{Address, Place, RedisLogin, RedisSettings, RedisTls};

/// How many calls of one thread may be on their way before others wait.
const ON_THEIR_WAY: usize = 1024;

/// An open connection. Clones share it.
#[derive(Clone)]
pub(super) struct Open {
    link: Link,
    is_broken: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Which process answers, where it says so.
pub(super) type Identity = Option<Box<str>>;

impl Open {
    /// Whether it is of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// It is of no use any more.
    pub(super) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// Has one command carried out. To be given up before it is done takes nothing back.
    pub(super) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match &mut self.link {
            Link::One(connection) => connection.send_packed_command(command).await,
            Link::Cluster(connection) => connection.req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }

    /// The same, of the primary that has this slot.
    pub(super) async fn send_to(
        &mut self,
        slot: Option<u16>,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        let (Link::Cluster(connection), Some(slot)) = (&mut self.link, slot) else {
            return self.send(command).await;
        };
        let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
        let answer = connection.route_command(command.clone(), RoutingInfo::SingleNode(node)).await;
        answer.and_then(Value::extract_error)
    }

    /// Which process answers: a server that was restarted is another one. `None` in a Cluster, and
    /// where the server does not tell.
    pub(super) async fn identity(&mut self) -> Result<Identity, RedisError> {
        if matches!(self.link, Link::Cluster(_)) {
            return Ok(None);
        }
        let answer = self.send(redis::cmd("INFO").arg("server")).await;
        match answer {
            Ok(answer) => Ok(info_line(&answer, "run_id:")),
            Err(error) if error.code() == Some("NOPERM") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Which keys it throws away when it is full, if it says that it does.
    pub(super) async fn evicts(&mut self) -> Option<Box<str>> {
        if matches!(self.link, Link::Cluster(_)) {
            return None;
        }
        // it need not tell
        let answer = self.send(redis::cmd("INFO").arg("memory")).await.ok()?;
        info_line(&answer, "maxmemory_policy:").filter(|policy| &**policy != "noeviction")
    }
}

/// What `INFO` says behind `name`.
fn info_line(answer: &Value, name: &str) -> Option<Box<str>> {
    let text = if let Value::BulkString(text) = answer {
        String::from_utf8_lossy(text)
    } else if let Value::VerbatimString { text, .. } = answer {
        text.as_str().into()
    } else {
        return None;
    };
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().into())
}

/// Connects to the server at `place`, which Sentinels may have named.
pub(super) async fn to_one(
    settings: &RedisSettings,
    place: ConnectionInfo,
) -> Result<Open, RedisError> {
    let (config, is_broken) = config(settings.connect_timeout);
    let client = if matches!(place.addr(), ConnectionAddr::TcpTls { .. }) {
        Client::build_with_tls(place, certificates(&settings.tls))?
    } else {
        Client::open(place)?
    };
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok(Open { link: Link::One(connection), is_broken })
}

/// Connects to a Cluster.
pub(super) async fn to_cluster(
    settings: &RedisSettings,
    nodes: &[Address],
) -> Result<Open, RedisError> {
    let infos = nodes.iter().map(|node| info(settings, node));
    let infos: Vec<ConnectionInfo> = infos.collect::<Result<_, _>>()?;
    let (hear, is_broken) = ear();
    let mut builder = ClusterClientBuilder::new(infos)
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(hear)
        .connection_timeout(settings.connect_timeout)
        .response_timeout(settings.timeout)
        .retries(2)
        .min_retry_wait(1)
        .max_retry_wait(5)
        .tcp_settings(tcp());
    if nodes.iter().any(|node| matches!(node, Address::Tls(..))) {
        builder = builder.tls(TlsMode::Secure).certs(certificates(&settings.tls));
    }
    let connection = builder.build()?.get_async_connection().await?;
    Ok(Open { link: Link::Cluster(connection), is_broken })
}

/// Where the server is that is always the same, or that Sentinels call the primary now.
pub(super) async fn find(settings: &RedisSettings) -> Result<Option<ConnectionInfo>, RedisError> {
    match &settings.place {
        Place::One(address) => info(settings, address).map(Some),
        Place::Cluster(_) => Ok(None),
        Place::Sentinel { primary, sentinels, login } => {
            let named = ask_sentinels(settings, primary, sentinels, login).await?;
            let redis = redis_info(&settings.login, settings.database);
            Ok(Some(named.set_redis_settings(redis).set_tcp_settings(tcp())))
        }
    }
}

async fn ask_sentinels(
    settings: &RedisSettings,
    primary: &str,
    sentinels: &[Address],
    login: &RedisLogin,
) -> Result<ConnectionInfo, RedisError> {
    let places = sentinels.iter().map(address);
    let kind = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(places, primary, kind)?
        .set_client_to_redis_db(i64::from(settings.database))
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if sentinels.iter().any(|sentinel| matches!(sentinel, Address::Tls(..))) {
        builder = builder
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates(&settings.tls))
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(&settings.tls));
    }
    if let Some(name) = &login.username {
        builder = builder.set_client_to_sentinel_username(name);
    }
    if let Some(password) = &login.password {
        builder = builder.set_client_to_sentinel_password(&password.0);
    }
    if let Some(name) = &settings.login.username {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = &settings.login.password {
        builder = builder.set_client_to_redis_password(&password.0);
    }
    let client = builder.build()?.async_get_client().await?;
    Ok(client.get_connection_info().clone())
}

/// Tells of a connection that is gone, also while nobody asks.
fn ear() -> (impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync, Arc<AtomicBool>)
{
    let is_broken = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_broken);
    let hear = move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            told.store(true, Ordering::Relaxed);
        }
        Ok(())
    };
    (hear, is_broken)
}

fn config(connect_timeout: Duration) -> (AsyncConnectionConfig, Arc<AtomicBool>) {
    let (hear, is_broken) = ear();
    // how long an answer may take is measured by whoever asks
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(ON_THEIR_WAY)
        .set_push_sender(hear);
    (config, is_broken)
}

fn info(settings: &RedisSettings, place: &Address) -> Result<ConnectionInfo, RedisError> {
    let redis = redis_info(&settings.login, settings.database);
    let info = address(place).into_connection_info()?;
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp()))
}

fn redis_info(login: &RedisLogin, database: u32) -> RedisConnectionInfo {
    // a connection tells of its end in this version of the protocol alone
    let mut info = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("loginward", env!("CARGO_PKG_VERSION"))
        .set_db(i64::from(database));
    if let Some(name) = &login.username {
        info = info.set_username(name);
    }
    if let Some(password) = &login.password {
        info = info.set_password(&password.0);
    }
    info
}

fn address(place: &Address) -> ConnectionAddr {
    match place {
        Address::Tcp(host, port) => ConnectionAddr::Tcp(host.to_string(), *port),
        Address::Tls(host, port) => ConnectionAddr::TcpTls {
            host: host.to_string(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
        Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
    }
}

fn certificates(tls: &RedisTls) -> TlsCertificates {
    let own = tls.own.as_ref().map(|own| ClientTlsConfig {
        client_cert: own.certificate.to_vec(),
        client_key: own.key.to_vec(),
    });
    TlsCertificates { client_tls: own, root_cert: Some(tls.roots.to_vec()) }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
