//! TLS towards upstreams: whom the guard believes, and who it says that it is.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::{CertificateFiles, H2, TlsError, certificates, load_one};

/// What HTTP/1.1 is called when a protocol is agreed on (RFC 7301, section 6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What an operator says of TLS with an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TrustSettings {
    /// Who vouches for the upstream; the system's roots where there is none.
    pub ca: Option<PathBuf>,
    /// The guard's own certificate.
    pub own: Option<CertificateFiles>,
    /// What the upstream's certificate has to be for; its host where there is none.
    pub server_name: Option<ServerName<'static>>,
    /// Whether its certificate is looked at.
    pub verify: Verify,
}

/// Whether an upstream's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verify {
    /// It has to be valid, for the right name, and vouched for.
    #[default]
    Always,
    /// It may be anybody's.
    Never,
}

/// Why there can be no TLS with an upstream.
#[derive(Clone, Debug)]
pub enum TrustError {
    /// A file cannot be used.
    File(Arc<TlsError>),
    /// The system has no root certificates; why, if that is known.
    NoRoots(String),
}

/// How TLS with an upstream goes. Two are the same that believe the same and say the same, wherever
/// that was read; their connections may be shared.
#[derive(Clone)]
pub struct Trust {
    server_name: Option<ServerName<'static>>,
    /// For HTTP/1.1 alone; and for HTTP/2 as well.
    configs: [Arc<ClientConfig>; 2],
    digest: u128,
}

/// Which protocols are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offer {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, and HTTP/1.1.
    Http2,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trust").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Trust {
    /// What tells it from others.
    #[must_use]
    pub const fn digest(&self) -> u128 {
        self.digest
    }

    /// What a handshake needs that offers so much. Sessions are resumed between those of one trust.
    #[must_use]
    pub const fn config(&self, offer: Offer) -> &Arc<ClientConfig> {
        let [http1, http2] = &self.configs;
        match offer {
            Offer::Http1 => http1,
            Offer::Http2 => http2,
        }
    }

    /// What the certificate of the upstream at `host` has to be for.
    #[must_use]
    pub fn name_for(&self, host: &str) -> Option<ServerName<'static>> {
        self.server_name.clone().or_else(|| ServerName::try_from(host.to_owned()).ok())
    }
}

/// Everything that was loaded for upstreams so far: many may have the same to say.
#[derive(Debug, Default)]
pub struct Trusts {
    system: Option<Result<Arc<RootCertStore>, TrustError>>,
    known: HashMap<TrustSettings, Result<Arc<Trust>, TrustError>>,
}

impl Trusts {
    /// Loads what `settings` name, unless that was done before.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be used.
    pub fn load(&mut self, settings: &TrustSettings) -> Result<Arc<Trust>, TrustError> {
        if let Some(known) = self.known.get(settings) {
            return known.clone();
        }
        let loaded = self.load_new(settings).map(Arc::new);
        self.known.insert(settings.clone(), loaded.clone());
        loaded
    }

    fn load_new(&mut self, settings: &TrustSettings) -> Result<Trust, TrustError> {
        let file = |error| TrustError::File(Arc::new(error));
        let roots = match (&settings.ca, settings.verify) {
            (_, Verify::Never) => Arc::new(RootCertStore::empty()),
            (Some(path), Verify::Always) => Arc::new(authority(path).map_err(file)?),
            (None, Verify::Always) => self.system_roots()?,
        };
        let own = settings.own.as_ref().map(load_one).transpose().map_err(file)?;
        let mut digest = SipHasher13::new();
        for root in &roots.roots {
            (&*root.subject, &*root.subject_public_key_info).hash(&mut digest);
        }
        let chain: &[CertificateDer<'_>] = own.as_ref().map_or(&[], |own| &own.cert);
        (chain, &settings.server_name, settings.verify).hash(&mut digest);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::NoRoots(format!("it does not go with TLS: {error}")))?;
        let builder = match settings.verify {
            Verify::Always => builder.with_root_certificates(roots),
            Verify::Never => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
        };
        let mut http1 = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        };
        http1.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let mut http2 = http1.clone();
        http2.alpn_protocols.insert(0, H2.to_vec());
        Ok(Trust {
            server_name: settings.server_name.clone(),
            configs: [http1, http2].map(Arc::new),
            digest: digest.finish128().as_u128(),
        })
    }

    fn system_roots(&mut self) -> Result<Arc<RootCertStore>, TrustError> {
        self.system.get_or_insert_with(load_system_roots).clone()
    }
}

/// The CA in the file at `path`.
fn authority(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root).map_err(|error| TlsError {
            file: path.to_owned(),
            wrong: format!("holds no CA: {error}"),
            right: "name a file of CA certificates in PEM",
        })?;
    }
    Ok(roots)
}

fn load_system_roots() -> Result<Arc<RootCertStore>, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // systems have odd ones among them; the others are good all the same
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(TrustError::NoRoots(why));
    }
    Ok(Arc::new(roots))
}

/// Believes whoever it is, as long as he has the key of the certificate that he shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
