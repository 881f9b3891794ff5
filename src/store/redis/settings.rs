//! What `store.redis` says, ready for use.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the shared store is reached, and what happens when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Which servers are asked.
    pub place: Place,
    /// How the guard names itself to them.
    pub login: RedisLogin,
    /// The number of the database; 0 in a Cluster.
    pub database: u32,
    /// What is presented and believed where a server is reached through TLS.
    pub tls: RedisTls,
    /// What all keys begin with.
    pub prefix: Box<str>,
    /// What names are hashed under, where that is said.
    pub key: Option<Hidden>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// What becomes of attempts while the store does not answer.
    pub on_outage: OnOutage,
}

/// The servers of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One, which is always the same.
    One(Address),
    /// The one that these Sentinels call the primary of this name.
    Sentinel {
        /// What they call it.
        primary: Box<str>,
        /// Where they are.
        sentinels: Vec<Address>,
        /// How the guard names itself to them.
        login: RedisLogin,
    },
    /// Those of a Cluster, found through any of these.
    Cluster(Vec<Address>),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Plain text over TCP.
    Tcp(Box<str>, u16),
    /// TLS over TCP; the name is what its certificate has to be for.
    Tls(Box<str>, u16),
    /// A unix socket.
    Unix(PathBuf),
}

/// A user of the store and the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisLogin {
    /// The ACL user; the server's default user where there is none.
    pub username: Option<Box<str>>,
    /// The password.
    pub password: Option<Hidden>,
}

/// What TLS goes by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Who vouches for the servers, as PEM.
    pub roots: Arc<[u8]>,
    /// What the guard presents, where it presents anything.
    pub own: Option<OwnPem>,
}

/// A certificate of the guard's.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnPem {
    /// The chain, as PEM.
    pub certificate: Arc<[u8]>,
    /// Its key, as PEM.
    pub key: Arc<[u8]>,
}

/// What becomes of attempts while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// This guard counts them alone.
    #[default]
    Local,
    /// They are answered 503.
    Refuse,
    /// They go through uncounted.
    Allow,
}

/// What is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub Arc<str>);

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hidden(…)")
    }
}

impl fmt::Debug for OwnPem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OwnPem(…)")
    }
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RedisTls").field("own", &self.own).finish_non_exhaustive()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) | Self::Tls(host, port) if host.contains(':') => {
                write!(out, "[{host}]:{port}")
            }
            Self::Tcp(host, port) | Self::Tls(host, port) => write!(out, "{host}:{port}"),
            Self::Unix(path) => write!(out, "{}", path.display()),
        }
    }
}

impl Place {
    /// Those that the settings name.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        match self {
            Self::One(address) => std::slice::from_ref(address).iter(),
            Self::Sentinel { sentinels, .. } => sentinels.iter(),
            Self::Cluster(nodes) => nodes.iter(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(_) => {}
            Self::Sentinel { primary, .. } => write!(out, "{primary} by the Sentinels at ")?,
            Self::Cluster(_) => out.write_str("the Cluster of ")?,
        }
        for (at, address) in self.addresses().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(out, "{before}{address}")?;
        }
        Ok(())
    }
}

impl Address {
    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(..))
    }
}

impl OnOutage {
    /// How it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}

impl RedisSettings {
    /// Whether a guard that runs by `before` can go on by these: what differs matters to whoever
    /// connects, and to nobody else. A password that names are hashed under matters to them.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let has_same_names = self.key.is_some() || self.login == before.login;
        let mut rest = self.clone();
        rest.tls = before.tls.clone();
        rest.login.password.clone_from(&before.login.password);
        if let (Place::Sentinel { login, .. }, Place::Sentinel { login: old, .. }) =
            (&mut rest.place, &before.place)
        {
            login.password.clone_from(&old.password);
        }
        has_same_names && rest == *before
    }

    /// The usual settings for that place.
    #[must_use]
    pub fn at(place: Place) -> Self {
        Self {
            place,
            login: RedisLogin::default(),
            database: 0,
            tls: RedisTls::default(),
            prefix: "loginward".into(),
            key: None,
            timeout: Duration::from_millis(50),
            connect_timeout: Duration::from_millis(200),
            on_outage: OnOutage::default(),
        }
    }
}
