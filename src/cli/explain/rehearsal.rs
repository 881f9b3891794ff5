//! One request goes through the whole guard, in this process, in front of an application that says
//! what it is told to say.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, LocalOptions};

use super::message::{Asked, Secure, Told};
use crate::clock::Clock;
use crate::config::{Balance, Settings, UpstreamAddr, UpstreamServer, UpstreamSettings};
use crate::guard::trace::{Story, Trace};
use crate::guard::{Shared, Worker};
use crate::link::Scheme;
use crate::policy::client::PeerAddr;
use crate::policy::key::{Fingerprinter, Keyer};
use crate::server::connection;
use crate::store::gate::Standing;
use crate::stream::Stream;
use crate::tls::trust::Offer;

/// No request is looked at for longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most of a request that the application reads before it answers.
const MOST: usize = 16 * 1024 * 1024;

/// What is played.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What the guard goes by.
    pub settings: Settings,
    /// What the client sends.
    pub asked: &'a Asked,
    /// Where it sends it from.
    pub from: IpAddr,
    /// What the application answers, if anything.
    pub answer: Option<&'a Told>,
}

/// What came of it.
#[derive(Debug)]
pub struct Played {
    /// What the guard made of the request.
    pub story: Story,
    /// The address that connected.
    pub peer: IpAddr,
    /// Whether forwarding headers of that count.
    pub is_trusted: bool,
    /// Whether the request reached the application.
    pub is_forwarded: bool,
    /// Whether the application's answer is known.
    pub is_answered: bool,
}

/// Plays a scene.
///
/// # Errors
///
/// When the system does not let it, or the request is none.
pub fn rehearse(scene: Scene<'_>) -> Result<Played, String> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let runtime = runtime.map_err(|error| error.to_string())?;
    let played = runtime.block_on(async { tokio::time::timeout(PATIENCE, play(scene)).await });
    match played {
        Ok(played) => played.map_err(|error| error.to_string()),
        Err(_) => Err("the request did not come to an end in time; is it whole?".to_owned()),
    }
}

async fn play(scene: Scene<'_>) -> io::Result<Played> {
    let Scene { mut settings, asked, from, answer } = scene;
    // nobody else is to hear of it
    settings.store.redis = None;
    let stage = TcpListener::bind("127.0.0.1:0").await?;
    let port = stage.local_addr()?.port();
    for site in &mut settings.sites {
        site.upstream = in_stead_of(&site.upstream, port);
    }
    let peer = PeerAddr::Ip(from);
    let is_trusted = settings.clients.trusted.trusts(peer);
    let listener = listener(&settings, asked.secure);
    let secrets = (Keyer::new(random()?), Fingerprinter::new(random()?));
    let clock = Clock::system();
    let shared = Shared::new(settings, clock.clone(), secrets, Standing::Open);
    let mut worker =
        Worker::new((Arc::clone(&shared), &shared.plans.now()), Keyer::new(random()?), clock.now());
    let trace = Rc::<Trace>::default();
    worker.trace = Some(Rc::clone(&trace));
    let worker = Rc::new(worker);
    let scheme = if asked.secure == Secure::Yes { Scheme::Https } else { Scheme::Http };
    let link = worker.welcome(peer, (scheme, listener));
    let (mut client, guard) = UnixStream::pair()?;
    let request = asked.bytes.clone();
    let sending = async {
        // a guard that has heard enough hangs up
        drop(client.write_all(&request).await);
        drop(client.shutdown().await);
        std::future::pending::<()>().await;
    };
    let application = Application::of(answer);
    let serving = connection::serve(Stream::Unix(guard), link, Rc::clone(&worker));
    let is_forwarded = tokio::select! {
        biased;
        () = trace.ended() => application.was_asked(),
        () = serving => application.was_asked(),
        () = sending => false,
        asked = application.perform(&stage) => asked?,
    };
    let story = trace.story();
    if story.status.is_none() && !is_forwarded {
        return Err(io::Error::other("that is no whole request: an empty line ends its head"));
    }
    Ok(Played { story, peer: from, is_trusted, is_forwarded, is_answered: answer.is_some() })
}

fn random() -> io::Result<[u8; 16]> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(secret)
}

/// The listener to which such a request would come.
fn listener(settings: &Settings, secure: Secure) -> usize {
    let fits = |tls: bool| tls == (secure == Secure::Yes);
    settings.listen.iter().position(|listen| fits(listen.tls.is_some())).unwrap_or_default()
}

/// Where the application is that says what it is told to.
fn in_stead_of(upstream: &UpstreamSettings, port: u16) -> UpstreamSettings {
    let address = UpstreamAddr::Tcp { host: "127.0.0.1".into(), port };
    UpstreamSettings {
        servers: vec![UpstreamServer { address, tls: None, offer: Offer::Http1 }],
        balance: Balance::RoundRobin,
        health_check: None,
        ..upstream.clone()
    }
}

/// An application that says what it is told to.
struct Application<'a> {
    answer: Option<&'a Told>,
    asked: std::cell::Cell<bool>,
}

impl<'a> Application<'a> {
    const fn of(answer: Option<&'a Told>) -> Self {
        Self { answer, asked: std::cell::Cell::new(false) }
    }

    const fn was_asked(&self) -> bool {
        self.asked.get()
    }

    /// Answers whoever connects. Ends where it has been asked and has nothing to say.
    async fn perform(&self, stage: &TcpListener) -> io::Result<bool> {
        loop {
            let (mut stream, _) = stage.accept().await?;
            hear(&mut stream).await?;
            self.asked.set(true);
            let Some(answer) = self.answer else { return Ok(true) };
            stream.write_all(&answer.bytes).await?;
            stream.shutdown().await?;
            // as long as the guard reads, the connection is there
            drop(stream.read(&mut [0; 1]).await);
        }
    }
}

/// Reads a request, to its end as far as that can be told.
async fn hear(stream: &mut TcpStream) -> io::Result<()> {
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while heard.len() < MOST && !is_whole(&heard) {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        heard.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(())
}

fn is_whole(heard: &[u8]) -> bool {
    let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = heard.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:").is_some() {
        return body.ends_with(b"0\r\n\r\n");
    }
    let length = value("content-length:").and_then(|length| length.parse().ok());
    body.len() >= length.unwrap_or(0_usize)
}
