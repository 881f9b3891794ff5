//! `loginward run --upgrade`: takes over from the guard that runs, socket by socket and counter by
//! counter.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

use crate::admin::api::{PROTOCOL, UPGRADE};
use crate::admin::passing::{
    Header, Keeps, LISTENS, Part, RESUMES, TAKEN, YOURS, read_frame, take,
};
use crate::admin::socket::AdminSocket;
use crate::config::{Admin, ListenAddr, Settings, USUAL_ADMIN};
use crate::guard::Shared;
use crate::server::StartError;
use crate::server::inherited::Inherited;
use crate::server::listen::ListenerSocket;
use crate::snapshot;
use crate::snapshot::place::LockFile;
use crate::snapshot::progress::Order;
use crate::store::gate::Standing;
use crate::store::handover::Arrival;

/// How long the other guard may take for each step in which it waits for nobody.
const PATIENCE: Duration = Duration::from_secs(30);
/// No head of an answer is longer.
const LONGEST_HEAD: usize = 16 * 1024;

/// What comes of taking over.
pub type Taking = oneshot::Receiver<io::Result<()>>;

/// The guard that runs, which waits to hand everything over.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    /// By which it is noticed that it has ended.
    process: Option<OwnedFd>,
    /// Which of its sockets are wanted here.
    wanted: Vec<bool>,
}

/// What a predecessor lets go at once.
#[derive(Debug)]
pub struct Legacy {
    /// Where it goes on.
    pub predecessor: Predecessor,
    /// Its listening sockets.
    pub inherited: Inherited,
    /// Where operators ask.
    pub admin: AdminSocket,
}

/// Asks the guard that runs at the operators' address of `settings` to hand over; `None` where
/// there is none.
///
/// # Errors
///
/// When there is one and it does not.
pub fn ask(settings: &Settings) -> Result<Option<Legacy>, StartError> {
    let path = match &settings.admin {
        Admin::At(path) | Admin::Beside(path) => path.as_path(),
        Admin::Usual => Path::new(USUAL_ADMIN),
        Admin::Nowhere => {
            let error = io::Error::other("there is no `admin` address to reach it at");
            return Err(StartError::new("no running guard can be taken over", error));
        }
    };
    let failed = |error| StartError::new("the running guard does not hand over", error);
    match UnixStream::connect(path) {
        Ok(stream) => take_sockets(stream, path, settings).map(Some).map_err(failed),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn take_sockets(mut stream: UnixStream, path: &Path, settings: &Settings) -> io::Result<Legacy> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "POST {UPGRADE} HTTP/1.1\r\nhost: loginward\r\nconnection: upgrade\r\n\
         upgrade: {PROTOCOL}\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let process = socket_peercred(&stream).ok();
    let process = process.and_then(|peer| pidfd_open(peer.pid, PidfdFlags::empty()).ok());
    let head = read_head(&mut stream)?;
    if !head.starts_with("HTTP/1.1 101") {
        let mut why = String::new();
        drop(stream.take(4096).read_to_string(&mut why)); // what of it has come is said
        let status = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("it answers {status}: {}", why.trim())));
    }
    let strange = || io::Error::other("it is of a version that hands over in another way");
    let Ok((Part::Header, header)) = read_frame(&mut stream)? else { return Err(strange()) };
    let Header { secrets, keeps, addresses, made } = Header::read(&header).ok_or_else(strange)?;
    let admin = (take(&stream)?, take(&stream)?);
    let lock = match keeps {
        Keeps::No => None,
        Keeps::Yes => Some(LockFile::of_predecessor(take(&stream)?)),
    };
    let mut sockets = Vec::with_capacity(addresses.len());
    for address in addresses {
        let socket = listener(&address, take(&stream)?);
        sockets.push((address, socket));
    }
    let mut inherited = Inherited::from_predecessor(sockets, made, secrets);
    inherited.lock = lock;
    let wanted = inherited.keep_named(settings);
    Ok(Legacy {
        predecessor: Predecessor { stream, process, wanted },
        inherited,
        admin: AdminSocket::of_predecessor(path, admin.0, admin.1),
    })
}

/// Reads to the end of a head, and no byte further.
fn read_head(stream: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

fn listener(address: &ListenAddr, socket: OwnedFd) -> ListenerSocket {
    match address {
        ListenAddr::Tcp(_) => ListenerSocket::Tcp(socket.into()),
        ListenAddr::Unix(_) => ListenerSocket::Unix(socket.into()),
    }
}

impl Predecessor {
    /// Says that this guard listens, and takes the counters over as soon as they come, while
    /// attempts wait for them. To be called once it serves.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn take_over(self, shared: Arc<Shared>) -> io::Result<Taking> {
        let (told, taking) = oneshot::channel();
        std::thread::Builder::new().name("upgrade".to_owned()).spawn(move || {
            // whoever does not want to know any more is about to end
            drop(told.send(self.run(&shared)));
        })?;
        Ok(taking)
    }

    fn run(mut self, shared: &Shared) -> io::Result<()> {
        let mut listens = vec![LISTENS];
        listens.extend(self.wanted.iter().map(|wanted| u8::from(*wanted)));
        self.stream.write_all(&listens)?;
        // its last attempts may take long; if it ends, that is noticed
        self.stream.set_read_timeout(None)?;
        let mut arrival = Arrival::default();
        if let Err(error) = self.receive(shared, &mut arrival) {
            if !self.has_ended() {
                return Err(error); // it goes on with what it has, and never are two at work
            }
            let message = "the other guard ended too early; what has not come is forgotten";
            let counters = arrival.counters;
            tracing::error!(event = "handover_incomplete", counters, message, error = %error);
            // what it has kept has not been lost with it
            drop(snapshot::recover(&shared.store));
        }
        let Arrival { counters, unknown, hand_locks, .. } = arrival;
        tracing::info!(event = "taken_over", counters, unknown, hand_locks);
        if let Some(progress) = shared.store.progress() {
            snapshot::leave_unknown(&shared.store, unknown);
            progress.order(Order::Write);
        }
        shared.gate.set(Standing::Open);
        Ok(())
    }

    /// Takes everything in.
    fn receive(&mut self, shared: &Shared, arrival: &mut Arrival) -> io::Result<()> {
        let strange = || io::Error::other("it says something that cannot be understood");
        let mut frames = 0;
        loop {
            match read_frame(&mut self.stream)? {
                Ok((Part::Counters, frame)) => {
                    shared.store.take_over(arrival, &frame).ok_or_else(strange)?;
                }
                Ok((Part::Seen, frame)) => {
                    let now = shared.store.clock().now();
                    shared.seen.take_over(&frame, now).ok_or_else(strange)?;
                }
                Ok((Part::End, count)) if count == u64::to_le_bytes(frames) => break,
                Err(RESUMES) => return Err(resumed()),
                Ok(_) | Err(_) => return Err(strange()),
            }
            frames += 1;
        }
        self.stream.write_all(&[TAKEN])?;
        let mut last = [0];
        match self.stream.read_exact(&mut last) {
            Ok(()) if last == [YOURS] => Ok(()),
            Ok(()) => Err(resumed()),
            // all has come, so that its end is as good
            Err(_) if self.has_ended() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the other process has ended, or does so soon.
    fn has_ended(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let mut ends = [PollFd::new(process, PollFlags::IN)];
        let patience = Timespec { tv_sec: 2, tv_nsec: 0 };
        poll(&mut ends, Some(&patience)).is_ok_and(|ended| ended > 0)
    }
}

fn resumed() -> io::Error {
    io::Error::other("the guard that was to be taken over goes on")
}
