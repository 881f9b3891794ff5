//! Opening a connection to a server: the socket, and TLS where it speaks that.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::CertificateError;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::UpstreamError;
use crate::config::{UpstreamAddr, UpstreamServer};
use crate::stream::Stream;
use crate::tls::trust::{Offer, Trust};

/// Connects to `server`, and shakes hands if it speaks TLS. Dropping the future gives up.
///
/// # Errors
///
/// When it cannot be reached, or is not who it should be.
pub(super) async fn connect(
    server: &UpstreamServer,
    offer: Offer,
) -> Result<Stream, UpstreamError> {
    let stream = reach(&server.address).await.map_err(UpstreamError::Connect)?;
    match (&server.tls, &server.address) {
        (Some(trust), UpstreamAddr::Tcp { host, .. }) => secure(stream, trust, (host, offer)).await,
        (Some(_), UpstreamAddr::Unix(_)) | (None, _) => Ok(stream),
    }
}

async fn reach(address: &UpstreamAddr) -> io::Result<Stream> {
    match address {
        UpstreamAddr::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        UpstreamAddr::Tcp { host, port } => {
            let stream = match host.parse() {
                Ok(ip) => TcpStream::connect(SocketAddr::new(ip, *port)).await?,
                Err(_) => TcpStream::connect((&**host, *port)).await?,
            };
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
    }
}

async fn secure(
    stream: Stream,
    trust: &Trust,
    (host, offer): (&str, Offer),
) -> Result<Stream, UpstreamError> {
    let no_name = || io::Error::other(format!("`{host}` is no name that a certificate can be for"));
    let name = trust.name_for(host).ok_or_else(no_name).map_err(UpstreamError::Tls)?;
    let connector = TlsConnector::from(Arc::clone(trust.config(offer)));
    let stream = connector.connect(name, stream).await.map_err(UpstreamError::Tls)?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// What to do about a handshake that failed, where that is known.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
pub(super) fn hint(error: &io::Error) -> &'static str {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            // signed by somebody who merely has the name of one that is believed
            CertificateError::BadSignature | CertificateError::UnknownIssuer => {
                "; nobody whom the guard believes vouches for it: name its CA under `tls.ca`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "; if that is the right one, name it under `tls.server_name`"
            }
            CertificateError::Other(wrong) if wrong.to_string().contains("CaUsedAsEndEntity") => {
                "; it is an authority's own certificate: have that sign one for the server"
            }
            _ => "",
        },
        Some(rustls::Error::InvalidMessage(_)) => "; it may speak no TLS: then write http://",
        _ => "",
    }
}
