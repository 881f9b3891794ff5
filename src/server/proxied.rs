//! The beginning of a connection that a proxy passes on and says so (PROXY protocol).
//!
//! Not a byte is read beyond the header: what follows belongs to TLS or HTTP.

use std::io;
use std::pin::pin;

use crate::events::{self, About, Details, Name};
use crate::guard::Worker;
use crate::link::Link;
use crate::policy::client::PeerAddr;
use crate::policy::proxy_header::{MOST_BYTES, Progress, Speaker, Unusable, read};
use crate::stream::Stream;

/// How much is looked at first; nearly every header is shorter.
const USUAL: usize = 256;

/// Who is at the other end of the connection that the peer of `link` passes on; `None` where it has
/// no right to say so, or does not say so in time. That is reported; but a proxy may look whether
/// somebody listens, and leave.
pub(super) async fn admit(stream: &Stream, link: &Link, worker: &Worker) -> Option<PeerAddr> {
    let proxy = link.peer;
    let plan = worker.serving();
    if !plan.settings.clients.trusted.trusts(proxy) {
        suspect(proxy, "an untrusted peer connects where only trusted proxies may");
        return None;
    }
    link.alarm.set(plan.settings.timeouts.proxy_header);
    match link.alarm.in_time(pin!(header(stream))).await {
        Some(Ok(Some(Speaker::Client(address)))) => Some(PeerAddr::ip(address)),
        Some(Ok(Some(Speaker::Proxy))) => Some(proxy.nameless()),
        Some(Ok(None) | Err(Failure::Socket)) => None,
        Some(Err(Failure::Unusable(Unusable(why)))) => {
            suspect(proxy, &format!("a trusted proxy sends no usable PROXY header: {why}"));
            None
        }
        None => {
            suspect(proxy, "a trusted proxy sends no PROXY header in time");
            None
        }
    }
}

fn suspect(proxy: PeerAddr, reason: &str) {
    let client = proxy.to_string();
    let about = About { client: Some(&client), ..About::default() };
    events::report(
        Name::IdentitySuspect,
        about,
        Details { reason: Some(reason), ..Details::default() },
    );
}

/// Why there is no header.
#[derive(Debug)]
enum Failure {
    /// The connection is gone.
    Socket,
    Unusable(Unusable),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Socket
    }
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Reads the header off the stream; `None` where nothing comes at all.
async fn header(stream: &Stream) -> Result<Option<Speaker>, Failure> {
    let mut buffer = vec![0; USUAL];
    let mut taken = 0;
    loop {
        if taken == buffer.len() {
            buffer.resize(MOST_BYTES, 0);
        }
        let here = stream.peek(buffer.get_mut(taken..).unwrap_or_default()).await?;
        if here == 0 && taken == 0 {
            return Ok(None);
        }
        if here == 0 {
            return Err(Unusable("it breaks off").into());
        }
        let progress = read(buffer.get(..taken + here).unwrap_or_default())?;
        let end = match progress {
            Progress::Partial => taken + here,
            Progress::Whole { length, .. } => length,
        };
        taken += stream.take(buffer.get_mut(taken..end).unwrap_or_default()).await?;
        match progress {
            Progress::Whole { speaker, .. } if taken == end => return Ok(Some(speaker)),
            Progress::Whole { .. } | Progress::Partial => {}
        }
    }
}
