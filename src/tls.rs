//! Certificates for listeners: loaded, chosen by name, loaded again when their files change.

pub mod trust;

pub mod expiry;

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use webpki::EndEntityCert;

/// What HTTP/2 is called when a protocol is agreed on (RFC 9113, section 3.2).
pub const H2: &[u8] = b"h2";

/// The files of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate and those that vouch for it, its own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why TLS cannot be served as configured.
#[derive(Debug)]
pub struct TlsError {
    /// The file to blame.
    pub file: PathBuf,
    /// What is wrong with it.
    pub wrong: String,
    /// What would be right.
    pub right: &'static str,
}

impl fmt::Display for TlsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}; {}", self.file.display(), self.wrong, self.right)
    }
}

impl std::error::Error for TlsError {}

/// The certificates of a listener. Its `Debug` does not tell the keys.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    keys: Arc<Keys>,
    config: Arc<ServerConfig>,
    /// What the files were like when they were last looked at.
    seen: Mutex<Vec<Stamp>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What tells that a file is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let read = || {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        Self(read())
    }
}

impl Certificates {
    /// Loads the certificates of one listener, which asks clients for one by `client_ca`, if there
    /// is such.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn load(files: &[CertificateFiles], client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let seen = stamps(files);
        let loaded = files.iter().map(load_one).collect::<Result<Vec<_>, _>>()?;
        let keys = Arc::new(Keys(ArcSwap::from_pointee(loaded)));
        let config = Arc::new(server_config(&keys, client_ca)?);
        Ok(Self { files: files.to_vec(), keys, config, seen: Mutex::new(seen) })
    }

    /// What a handshake needs.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// The files of the certificates, and when each of these expires, since 1970.
    #[must_use]
    pub fn expiries(&self) -> Vec<(PathBuf, Duration)> {
        let keys = self.keys.0.load();
        let ends = keys.iter().zip(&self.files);
        let ends = ends.filter_map(|(key, files)| {
            Some((files.certificate.clone(), expiry::not_after(&key.cert)?))
        });
        ends.collect()
    }

    /// Loads what has changed; returns whether anything had. Connections that are open stay.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used; everything stays as it was.
    pub fn reload_changed(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let loaded = self.files.iter().map(load_one).collect::<Result<Vec<_>, _>>()?;
        self.keys.0.store(Arc::new(loaded));
        Ok(true)
    }
}

fn stamps(files: &[CertificateFiles]) -> Vec<Stamp> {
    files.iter().flat_map(|f| [Stamp::of(&f.certificate), Stamp::of(&f.key)]).collect()
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
fn server_config(keys: &Arc<Keys>, client_ca: Option<&Path>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let blame = |wrong: String| TlsError {
        file: client_ca.unwrap_or_else(|| Path::new("")).to_owned(),
        wrong,
        right: "name a file of CA certificates in PEM",
    };
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| blame(format!("does not go with TLS: {error}")))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|error| blame(format!("holds no CA: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| blame(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::<Keys>::clone(keys));
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    // all of them are strong; that the client does not choose is what scanners want to see
    config.ignore_client_order = true;
    if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blame = |wrong: String| TlsError {
        file: path.to_owned(),
        wrong,
        right: "name a file of certificates in PEM (-----BEGIN CERTIFICATE-----)",
    };
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| blame(unreadable(&error)))?;
    if found.is_empty() { Err(blame("has no certificate".to_owned())) } else { Ok(found) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and open-ended")]
fn unreadable(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => "has nothing of the kind".to_owned(),
        error => format!("is no PEM: {error}"),
    }
}

/// All that is wrong with `files` and the CA's certificates at `ca`, each file by itself.
#[must_use]
pub fn problems(files: &[CertificateFiles], ca: Option<&Path>) -> Vec<TlsError> {
    let of_pair = |files: &CertificateFiles| match (chain(files), key(files)) {
        (Ok(_), Ok(_)) => [load_one(files).err(), None],
        (chain, key) => [chain.err(), key.err()],
    };
    let of_ca = ca.and_then(|ca| certificates(ca).err());
    files.iter().flat_map(of_pair).flatten().chain(of_ca).collect()
}

/// The certificates of a server, its own first.
fn chain(files: &CertificateFiles) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let own = chain.first().map(EndEntityCert::try_from);
    if let Some(Err(error)) = own {
        let is_old = matches!(error, webpki::Error::UnsupportedCertVersion);
        let (wrong, right) = if is_old {
            let right = "have one made of version 3, with subjectAltName for its names";
            ("is of version 1".to_owned(), right)
        } else {
            let wrong = format!("begins with no certificate of a server: {error:?}");
            (wrong, "the server's own certificate comes first")
        };
        return Err(TlsError { file: files.certificate.clone(), wrong, right });
    }
    Ok(chain)
}

fn key(files: &CertificateFiles) -> Result<PrivateKeyDer<'static>, TlsError> {
    let blame = |wrong: String, right| TlsError { file: files.key.clone(), wrong, right };
    PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        let text = std::fs::read_to_string(&files.key).unwrap_or_default();
        if text.contains("ENCRYPTED") {
            let right = "decrypt it, such as with `openssl pkey -in KEY -out PLAIN`";
            return blame("is encrypted".to_owned(), right);
        }
        let right = "name a private key in PEM (PKCS #8, PKCS #1 or SEC 1)";
        blame(unreadable(&error), right)
    })
}

fn load_one(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = chain(files)?;
    let key = key(files)?;
    let blame = |wrong: String, right| TlsError { file: files.key.clone(), wrong, right };
    let certify =
        |chain| CertifiedKey::from_der(chain, key.clone_key(), &aws_lc_rs::default_provider());
    let error = match certify(chain.clone()) {
        Ok(certified) => return Ok(Arc::new(certified)),
        Err(error) => error,
    };
    if !matches!(error, rustls::Error::InconsistentKeys(_)) {
        return Err(blame(
            format!("cannot be used: {error}"),
            "name a key of RSA, ECDSA or Ed25519",
        ));
    }
    Err(match chain.iter().position(|own| certify(vec![own.clone()]).is_ok()) {
        Some(before) => TlsError {
            file: files.certificate.clone(),
            wrong: format!("has the server's own certificate behind {before} others"),
            right: "put it first, then those that vouch for it",
        },
        None => {
            let wrong = format!("is not the key of {}", files.certificate.display());
            blame(wrong, "name the two that belong together")
        }
    })
}

/// Chooses a certificate by the name that a client asks for: one that is for just this name before
/// one with a wildcard, and the first where none fits.
#[derive(Debug)]
struct Keys(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.0.load();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let asked = hello.server_name();
        let own = |key: &Arc<CertifiedKey>, fits: &dyn Fn(EndEntityCert<'_>) -> bool| {
            let own = key.end_entity_cert().ok().and_then(|own| EndEntityCert::try_from(own).ok());
            own.is_some_and(fits)
        };
        let is_exact = |own: EndEntityCert<'_>| {
            let is_asked = |name: &str| asked.is_some_and(|a| a.eq_ignore_ascii_case(name));
            own.valid_dns_names().any(is_asked)
        };
        let fits = |own: EndEntityCert<'_>| {
            name.as_ref().is_some_and(|name| own.verify_is_valid_for_subject_name(name).is_ok())
        };
        let mut by_name = keys.iter().find(|key| own(key, &is_exact));
        by_name = by_name.or_else(|| keys.iter().find(|key| own(key, &fits)));
        by_name.or_else(|| keys.first()).map(Arc::clone)
    }
}
