//! Handing everything over to a successor: listening sockets first, then, once nothing is under way
//! any more, the counters.
//!
//! Until the successor says that it listens, nothing changes here. From then on nothing is accepted
//! or admitted; if the successor is lost before it has everything, this guard goes on.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};

use super::passing::{self, Header, Keeps, LISTENS, Part, RESUMES, TAKEN, YOURS};
use crate::guard::Shared;
use crate::server::listen::Offered;
use crate::server::{Server, Stage};
use crate::snapshot::progress::Order;
use crate::store::gate::Standing;

/// How long a successor may take for each of its steps.
const PATIENCE: Duration = Duration::from_mins(1);

/// What there is to hand over, and who has to know of it.
#[derive(Debug)]
pub struct Handover {
    shared: Arc<Shared>,
    offered: Rc<RefCell<Vec<Offered>>>,
    made: Vec<PathBuf>,
    stop: watch::Sender<Stage>,
    /// One at a time.
    is_under_way: Cell<bool>,
    /// Whether operators are answered by whoever comes.
    pub paused: watch::Sender<bool>,
    /// Told once everything is handed over.
    pub done: Notify,
}

impl Handover {
    /// What `server` can hand over.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let (offered, stop, made) = server.offer();
        Self {
            shared: Arc::clone(server.shared()),
            offered,
            made,
            stop,
            is_under_way: Cell::new(false),
            paused: watch::Sender::new(false),
            done: Notify::new(),
        }
    }

    /// Whether somebody may ask for it now; nobody else may from then on.
    #[must_use]
    pub fn begin(&self) -> bool {
        let has_all = self.shared.gate.standing() == Standing::Open;
        has_all && !self.shared.is_leaving() && !self.is_under_way.replace(true)
    }

    /// It has come to nothing.
    pub fn give_up(&self) {
        self.is_under_way.set(false);
    }

    /// Hands over to whoever is at the other end; `own` is the operators' socket and its lock.
    pub async fn run(&self, mut stream: UnixStream, own: &super::socket::AdminSocket) {
        tracing::info!(event = "upgrade_begun");
        let outcome = match self.offer(&mut stream, own).await {
            Ok(()) => self.transfer(&mut stream).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok((counters, unsettled)) => {
                tracing::info!(event = "handed_over", counters, unsettled);
                self.done.notify_one();
            }
            Err(error) => {
                let message = "this guard goes on as if nothing had happened";
                tracing::error!(event = "upgrade_failed", message, error = %error);
                self.give_up();
            }
        }
    }

    /// Offers the sockets, until the successor listens on those that it wants.
    async fn offer(
        &self,
        stream: &mut UnixStream,
        own: &super::socket::AdminSocket,
    ) -> io::Result<()> {
        let mut sockets = own.duplicates()?;
        let progress = self.shared.store.progress();
        let lock = progress.map(|progress| progress.lock()).transpose()?;
        let keeps = if lock.is_some() { Keeps::Yes } else { Keeps::No };
        sockets.extend(lock.map(OwnedFd::from));
        let mut addresses = Vec::new();
        for offered in self.offered.borrow().iter() {
            sockets.push(offered.socket.duplicate()?);
            addresses.push(offered.address.clone());
        }
        let secrets = (*self.shared.store.keyer(), *self.shared.seen.fingerprinter());
        let header = Header { secrets, keeps, addresses, made: self.made.clone() };
        within(stream.write_all(&passing::framed(Part::Header, &header.write()))).await?;
        for socket in sockets {
            within(passing::give(stream, &socket)).await?;
        }
        if within(stream.read_u8()).await? != LISTENS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        for at in 0..header.addresses.len() {
            let wanted = within(stream.read_u8()).await?;
            if let Some(offered) = self.offered.borrow().get(at) {
                offered.elsewhere.store(wanted == 1, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Lets everything that is under way settle, then tells all that counts. How many counters, and
    /// how many attempts came to no end in time.
    async fn transfer(&self, stream: &mut UnixStream) -> io::Result<(usize, usize)> {
        self.stop.send_replace(Stage::Pause);
        self.paused.send_replace(true);
        self.shared.gate.set(Standing::Closed);
        self.shared.store.close();
        tracing::info!(event = "handing_over", attempts = self.shared.gate.inside());
        let told = self.settle_and_tell(stream).await;
        if told.is_err() {
            // the other one learns it, if it is there: never are two at work
            drop(within(stream.write_all(&[RESUMES])).await);
            self.offered.borrow().iter().for_each(|offered| {
                offered.elsewhere.store(false, Ordering::Release);
            });
            self.shared.store.reopen();
            if let Some(progress) = self.shared.store.progress() {
                progress.order(Order::Write);
            }
            self.shared.gate.set(Standing::Open);
            self.stop.send_replace(Stage::Run);
            self.paused.send_replace(false);
        }
        told
    }

    async fn settle_and_tell(&self, stream: &mut UnixStream) -> io::Result<(usize, usize)> {
        let longest = self.shared.plans.latest().settings.timeouts.exchange;
        let unsettled = tokio::select! {
            unsettled = self.settled(longest) => unsettled,
            // it has nothing to say before it has everything
            end = stream.read_u8() => return Err(unexpected(end)),
        };
        // the file is the other one's from here on, if it wants it
        if let Some(progress) = self.shared.store.progress()
            && !progress.pause(PATIENCE).await
        {
            return Err(io::Error::other("the disk with the snapshot does not go on"));
        }
        let now = self.shared.store.clock().now();
        let mut frames = 0;
        for frame in self.shared.store.hand_over(now) {
            within(stream.write_all(&passing::framed(Part::Counters, &frame))).await?;
            frames += 1;
        }
        for frame in self.shared.seen.hand_over(now) {
            within(stream.write_all(&passing::framed(Part::Seen, &frame))).await?;
            frames += 1;
        }
        let end = u64::to_le_bytes(frames);
        within(stream.write_all(&passing::framed(Part::End, &end))).await?;
        if within(stream.read_u8()).await? != TAKEN {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.write_all(&[YOURS]).await?;
        let sizes = self.shared.store.sizes();
        Ok((sizes.counters + sizes.locked, unsettled))
    }

    /// Waits until no attempt is under way, `longest` at most; how many are.
    async fn settled(&self, longest: Duration) -> usize {
        let settled = async {
            while self.shared.gate.inside() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        drop(tokio::time::timeout(longest, settled).await);
        self.shared.gate.inside()
    }
}

/// It has ended, or says what it should not.
fn unexpected(said: io::Result<u8>) -> io::Error {
    said.err().unwrap_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What a successor does it does soon, or not at all.
async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, step).await.map_err(io::Error::other)?
}
