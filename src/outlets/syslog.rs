//! The audit log at a syslog server: RFC 5424, over a unix socket, UDP (RFC 5426) or TCP (RFC 6587,
//! section 3.4.1).

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tracing::Level;

use super::audit::Sink;
use super::queue::Line;
use super::settings::{Syslog, SyslogAddr};
use crate::log::line::write_time;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends to a syslog server.
#[derive(Debug)]
pub struct SyslogSender {
    settings: Syslog,
    host: String,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl SyslogSender {
    /// One that connects when there is something to send.
    #[must_use]
    pub fn new(settings: &Syslog) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let is_plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        let host = if is_plain { host } else { "-".to_owned() };
        Self { settings: settings.clone(), host, socket: None }
    }

    /// An event as RFC 5424, section 6, has it.
    fn message(&self, line: &Line) -> String {
        let severity = match line.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let mut message = format!("<{}>1 ", self.settings.facility * 8 + severity);
        write_time(&mut message, line.wall);
        let (process, name) = (std::process::id(), &line.name);
        message.push_str(&format!(" {} loginward {process} {name} - ", self.host));
        message.push_str(line.text.trim_end());
        message
    }

    fn socket(&mut self) -> io::Result<&mut Socket> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.settings.address)?,
        };
        Ok(self.socket.insert(socket))
    }
}

fn connect(address: &SyslogAddr) -> io::Result<Socket> {
    match address {
        SyslogAddr::Tcp(place) => {
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in place.to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(stream) => {
                        stream.set_write_timeout(Some(PATIENCE))?;
                        return Ok(Socket::Tcp(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        SyslogAddr::Udp(place) => {
            let mut addresses = place.to_socket_addrs()?;
            let address = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            Ok(Socket::Udp(socket))
        }
        SyslogAddr::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect(path)?;
            Ok(Socket::Unix(socket))
        }
    }
}

impl Socket {
    fn send(&mut self, message: &str) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.write_all(format!("{} {message}", message.len()).as_bytes())
            }
            Self::Udp(socket) => socket.send(message.as_bytes()).map(drop),
            Self::Unix(socket) => socket.send(message.as_bytes()).map(drop),
        }
    }
}

impl Sink for SyslogSender {
    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()> {
        while let Some(line) = lines.front() {
            let message = self.message(line);
            if let Err(error) = self.socket()?.send(&message) {
                // the next one is tried on another
                self.socket = None;
                return Err(error);
            }
            lines.pop_front();
        }
        Ok(())
    }
}
