//! The audit log at a syslog server: RFC 5424, over a unix socket, UDP (RFC 5426) or TCP (RFC 6587,
//! section 3.4.1).

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
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
/// How long the first datagram waits for a host to say that nobody listens there.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);

/// Sends to a syslog server.
#[derive(Debug)]
pub struct SyslogSender {
    settings: Syslog,
    host: String,
    socket: Option<Socket>,
    /// A message that was sent and refused.
    again: Option<String>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Udp(Datagrams),
    Unix(UnixDatagram),
}

/// Datagrams of UDP, of which only the next one tells that nobody took the one before.
#[derive(Debug)]
struct Datagrams {
    socket: UdpSocket,
    /// The one that was sent last, once the first was not refused.
    last: Option<String>,
}

impl SyslogSender {
    /// One that connects when there is something to send.
    #[must_use]
    pub fn new(settings: &Syslog) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let is_plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        let host = if is_plain { host } else { "-".to_owned() };
        Self { settings: settings.clone(), host, socket: None, again: None }
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

    fn send(&mut self, message: &str) -> io::Result<()> {
        if let Some(Socket::Tcp(stream)) = &mut self.socket
            && is_gone(stream)
        {
            self.socket = None;
        }
        let sent = self.socket()?.send(message);
        if sent.is_err() {
            // the next one is tried on another
            if let Some(Socket::Udp(Datagrams { last: Some(last), .. })) = self.socket.take() {
                self.again = Some(last);
            }
        }
        sent
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
            socket.set_read_timeout(Some(REFUSED_WITHIN))?;
            Ok(Socket::Udp(Datagrams { socket, last: None }))
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
            Self::Udp(datagrams) => datagrams.send(message),
            Self::Unix(socket) => socket.send(message.as_bytes()).map(drop),
        }
    }
}

impl Datagrams {
    fn send(&mut self, message: &str) -> io::Result<()> {
        self.socket.send(message.as_bytes())?;
        if self.last.is_none() {
            match self.socket.recv(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(error);
                }
                // nothing is the usual answer, and whatever else comes says that somebody is there
                Err(_) | Ok(_) => {}
            }
        }
        self.last = Some(message.to_owned());
        Ok(())
    }
}

/// Whether the other end has closed: what is written then is lost, and no error says so.
fn is_gone(stream: &mut TcpStream) -> bool {
    let mut left = || -> io::Result<bool> {
        stream.set_nonblocking(true)?;
        let mut bytes = [0; 256];
        let gone = loop {
            match stream.read(&mut bytes) {
                Ok(0) => break true,
                // a syslog server has nothing to say
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        stream.set_nonblocking(false)?;
        Ok(gone)
    };
    left().unwrap_or(true)
}

impl Sink for SyslogSender {
    fn write(&mut self, lines: &mut VecDeque<Line>) -> io::Result<()> {
        if let Some(again) = self.again.take() {
            let sent = self.send(&again);
            if sent.is_err() {
                self.again = Some(again);
                return sent;
            }
        }
        while let Some(line) = lines.front() {
            self.send(&self.message(line))?;
            lines.pop_front();
        }
        Ok(())
    }
}
