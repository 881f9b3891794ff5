//! `loginward health`: asks a running guard whether it is ready.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{FAILED, OK, UNREACHABLE, USAGE, address, complain, reachable, say};
use crate::config::Settings;

/// How long the whole question may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// No first line of an answer to it is longer.
const LONGEST_LINE: u64 = 1024;

/// Ask a running guard whether it is ready, as a container's health check does
///
/// It asks /readyz of the `metrics` listener that the configuration names.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit status:
  0  the guard is ready
  1  it answers, but is not ready
  2  the configuration or the command line is wrong
  3  nobody answers there"
)]
pub struct Health {
    /// The configuration file of the guard
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of its metrics listener, such as 127.0.0.1:9181
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config", value_parser = address)]
    address: Option<SocketAddr>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Health {
    /// Asks, and says what the answer was.
    #[must_use]
    pub fn execute(&self) -> u8 {
        let address = match (self.address, &self.config) {
            (Some(address), _) => Ok(address),
            (None, Some(path)) => configured(path),
            (None, None) => Err(WHAT.to_owned()),
        };
        match address {
            Ok(address) if self.json => print(address),
            Ok(address) => report(address),
            Err(wrong) => {
                complain(&wrong);
                USAGE
            }
        }
    }
}

/// What to say to whoever says nothing.
const WHAT: &str = "\
error: it is not said which guard to ask. Name its configuration file or its metrics listener:
    loginward health --config FILE
    loginward health --address 127.0.0.1:9181";

/// Where the guard of this configuration answers.
fn configured(path: &Path) -> Result<SocketAddr, String> {
    let (settings, _) = Settings::load(path).map_err(|problems| problems.to_string())?;
    let file = path.display();
    match settings.metrics {
        None => Err(format!(
            "{file}: there is no `metrics` listener to ask; add\n    \
             metrics: {{ address: \"127.0.0.1:9181\" }}"
        )),
        Some(address) if address.port() == 0 => Err(format!(
            "{file}: metrics.address: the system chooses the port; write one, such as \
             \"127.0.0.1:9181\", or name the one that it chose with --address"
        )),
        Some(address) => Ok(address),
    }
}

fn report(address: SocketAddr) -> u8 {
    match ask(reachable(address)) {
        Ok(200) => {
            say("ready");
            OK
        }
        Ok(404) => {
            complain(&format!("not ready: what listens on {address} knows no /readyz"));
            FAILED
        }
        Ok(status) => {
            complain(&format!("not ready: {address} answers {status}"));
            FAILED
        }
        Err(error) => {
            complain(&format!("not reachable: {address}: {error}"));
            UNREACHABLE
        }
    }
}

/// The same, for programs.
fn print(address: SocketAddr) -> u8 {
    let answer = ask(reachable(address));
    let (status, error) = match &answer {
        Ok(status) => (Some(*status), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let is_ready = status == Some(200);
    let told = json!({
        "ready": is_ready,
        "address": address.to_string(),
        "status": status,
        "error": error,
    });
    say(&told.to_string());
    match status {
        Some(200) => OK,
        Some(_) => FAILED,
        None => UNREACHABLE,
    }
}

/// The status of the answer to `GET /readyz`.
fn ask(address: SocketAddr) -> io::Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 3 seconds");
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, exchange(address)).await.map_err(late)? })
}

async fn exchange(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line).await?;
    status_of(&line).ok_or_else(|| io::Error::other("the answer is no HTTP"))
}

/// The status in an answer's first line.
fn status_of(line: &[u8]) -> Option<u16> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        let check = |answer: &[u8], expected| assert_eq!(status_of(answer), expected);
        check(b"HTTP/1.1 200 OK\r\n\r\nok\n", Some(200));
        check(b"HTTP/1.0 503\r\n\r\n", Some(503));
        check(b"SSH-2.0-OpenSSH_9.2\r\n", None);
        check(b"HTTP/1.1 \r\n", None);
        check(b"", None);
    }
}
