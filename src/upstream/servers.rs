//! The servers of one application: one is chosen, and another where that one cannot be reached.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::pool::{Pool, Upstreams, Wanted};
use super::state::{Change, ServerState};
use super::{Age, Lease, UpstreamError};
use crate::config::{Balance, UpstreamSettings};
use crate::policy::balance::{Standing, Tie, pick, turn};

/// An application, as every worker knows it.
#[derive(Debug)]
pub struct Upstream {
    /// Where it is.
    pub settings: UpstreamSettings,
    /// The health of its servers, in order.
    pub states: Vec<Arc<ServerState>>,
}

/// One worker's connections to an application.
#[derive(Debug)]
pub struct Servers {
    /// The application.
    pub upstream: Arc<Upstream>,
    all: Vec<Server>,
    /// Whose turn it is.
    next: Cell<usize>,
}

#[derive(Debug)]
struct Server {
    pool: Rc<Pool>,
    state: Arc<ServerState>,
}

impl Servers {
    /// The connections to `upstream` among `upstreams`.
    #[must_use]
    pub fn new(upstream: &Arc<Upstream>, upstreams: &Upstreams) -> Self {
        let server = |state: &Arc<ServerState>| Server {
            pool: upstreams.to(&state.server),
            state: Arc::clone(state),
        };
        let all = upstream.states.iter().map(server).collect();
        Self { upstream: Arc::clone(upstream), all, next: Cell::new(0) }
    }

    /// The pools of its connections.
    pub fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.all.iter().map(|server| &server.pool)
    }

    /// Whether there is a choice.
    #[must_use]
    pub const fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Whether `lease` is a connection to one of them.
    #[must_use]
    pub fn own(&self, lease: &Lease) -> bool {
        self.all.iter().any(|server| lease.is_of(&server.pool))
    }

    /// A connection for one exchange, to the server that `tie` leads to; where none can be opened
    /// to that, to another. What is not sent yet may go anywhere.
    ///
    /// A server that cannot be connected to in time rests for a while: others come first. Where
    /// there is but one, or where all rest, it is tried all the same.
    ///
    /// # Errors
    ///
    /// What is wrong with the last one that was tried; or that checks say of all that they are out.
    pub async fn lease(&self, wanted: Wanted, tie: Tie) -> Result<Lease, UpstreamError> {
        match &*self.all {
            [only] if only.state.is_out() => Err(UpstreamError::NoneHealthy),
            [only] => only.pool.lease(wanted).await,
            _ => self.lease_any(wanted, tie).await,
        }
    }

    async fn lease_any(&self, wanted: Wanted, tie: Tie) -> Result<Lease, UpstreamError> {
        let (mut tried, mut last) = (0_u128, UpstreamError::NoneHealthy);
        let next = self.next.get();
        self.next.set(next.wrapping_add(1));
        while let Some((at, server)) = self.choose(tried, tie, next) {
            tried |= 1 << at;
            match server.lease(wanted).await {
                Ok(lease) => return Ok(lease),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The server that comes next, of those whose bit in `tried` is not set.
    fn choose(&self, tried: u128, tie: Tie, next: usize) -> Option<(usize, &Server)> {
        let is_left = |at: &usize| tried & (1 << at) == 0;
        let weight = |at: usize, server: &Server| match self.upstream.settings.balance {
            Balance::Client | Balance::Cookie(_) => tie.weight(server.state.name),
            Balance::RoundRobin => turn(at, next, self.all.len()),
        };
        let left = self.all.iter().enumerate().filter(|(at, _)| is_left(at));
        let at = pick(left.map(|(at, server)| (at, server.standing(), weight(at, server))))?;
        self.all.get(at).map(|server| (at, server))
    }
}

impl Server {
    fn standing(&self) -> Standing {
        self.state.standing(self.pool.now())
    }

    async fn lease(&self, wanted: Wanted) -> Result<Lease, UpstreamError> {
        self.state.try_out(self.pool.now());
        let lease = self.pool.lease(wanted).await;
        match &lease {
            Ok(lease) if lease.age() == Age::Fresh => {
                if self.state.reached() == Change::New {
                    tracing::info!(event = "upstream_back", server = %self.state.server);
                }
            }
            Ok(_) => {}
            Err(error) => {
                if self.state.rest(self.pool.now()) == Change::New {
                    let (server, reason) = (&self.state.server, error);
                    tracing::warn!(event = "upstream_rests", server = %server, reason = %reason);
                }
            }
        }
        lease
    }
}
