//! The proxies that are measured, and the upstream behind them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tempfile::TempDir;

use crate::case::{Case, Measure};
use crate::load::Options;
use crate::store::Server;
use crate::usage::wait_until;

/// What the guard is called in the tables.
const OWN: &str = "loginward";
/// The guard with counters of its own, beside the one that shares them.
const MEMORY: &str = "memory";

/// Everything that runs for one case; all of it ends with this.
pub(crate) struct Bench {
    /// Those that are measured; the guard is the last.
    pub(crate) proxies: Vec<Proxy>,
    /// Where counters are shared.
    pub(crate) store: Option<Server>,
    _upstream: Running,
    _dir: TempDir,
}

/// A proxy that runs.
pub(crate) struct Proxy {
    /// What it is called.
    pub(crate) name: &'static str,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    running: Running,
}

/// A process that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's workers end with their master only where it is asked to end
        let pid = self.0.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.0.wait());
    }
}

impl Proxy {
    pub(crate) fn pid(&self) -> u32 {
        self.running.0.id()
    }

    pub(crate) fn is_own(&self) -> bool {
        self.name == OWN
    }

    /// A TLS client that believes the bench's own certificate.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Believing(schemes)))
            .with_no_client_auth();
        Arc::new(config)
    }
}

impl Bench {
    /// Starts what `case` is measured on.
    pub(crate) fn start(case: &Case, options: &Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let upstream = free_address();
        let path = dir.path().to_str().expect("text").to_owned();
        fs::write(dir.path().join("100k.bin"), vec![b'x'; 100 * 1024]).expect("writes");
        write_certificate(&dir);
        let fill = move |text: &str, (http, https): (SocketAddr, SocketAddr)| {
            text.replace("{DIR}", &path)
                .replace("{UPSTREAM}", &upstream.port().to_string())
                .replace("{PORT}", &http.port().to_string())
                .replace("{TLS}", &https.port().to_string())
                .replace("{BODY}", &"x".repeat(1024))
        };
        let workers = options.workers.to_string();
        let start = |name: &'static str, text: &str| {
            let at = (free_address(), free_address());
            let config = dir.path().join(format!("{name}.conf"));
            let text = fill(text, at).replace("{WORKERS}", &workers);
            fs::write(&config, text).expect("writes");
            let running = Running(command(name, &config, &dir).spawn().unwrap_or_else(|error| {
                panic!("{name} cannot be started: {error}");
            }));
            let first = if name == "upstream" { upstream } else { at.0 };
            wait_until(|| TcpStream::connect(first).is_ok());
            Proxy { name, http: at.0, https: at.1, running }
        };
        let upstream = start("upstream", include_str!("conf/upstream.conf")).running;
        let store = (case.measure == Measure::Store).then(Server::start);
        let mut proxies: Vec<Proxy> = Vec::new();
        for name in case.beside.iter().chain([&OWN]) {
            let mut text = settings(name, store.as_ref());
            if case.measure == Measure::Counter {
                // nobody has to make room
                text = text.replace("max_counters: 400000", "max_counters: 8000000");
                text = text.replace("size 1m", "size 8m");
            }
            proxies.push(start(name, &text));
        }
        Self { proxies, store, _upstream: upstream, _dir: dir }
    }
}

fn settings(name: &str, store: Option<&Server>) -> String {
    let shared = include_str!("conf/shared.yaml");
    match (name, store) {
        ("nginx", _) => include_str!("conf/nginx.conf").to_owned(),
        ("haproxy", _) => include_str!("conf/haproxy.cfg").to_owned(),
        ("haproxy-recipe", _) => include_str!("conf/haproxy-recipe.cfg").to_owned(),
        (OWN, None) => include_str!("conf/loginward.yaml").to_owned(),
        (OWN, Some(store)) => {
            let url = format!("redis://{}", store.address);
            // a busy machine is no outage
            let store =
                format!("{{ redis: {{ url: \"{url}\", key: of-this-bench-alone, timeout: 5s }} }}");
            shared.replace("{STORE}", &store)
        }
        _ => shared.replace("{STORE}", "{ memory: { max_counters: 400000 } }"),
    }
}

fn command(name: &str, config: &std::path::Path, dir: &TempDir) -> Command {
    let mut command = match name {
        "nginx" | "upstream" => {
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(dir.path()).arg("-e").arg(dir.path().join("err")).arg("-c");
            nginx.arg(config);
            nginx
        }
        OWN | MEMORY => {
            let mut own = Command::new(env!("CARGO_BIN_EXE_loginward"));
            own.args(["run", "--config"]).arg(config);
            own
        }
        _ => {
            let mut haproxy = Command::new("haproxy");
            haproxy.arg("-db").arg("-f").arg(config);
            haproxy
        }
    };
    let log = fs::File::create(dir.path().join(format!("{name}.log"))).expect("a file");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

/// An address that was free a moment ago: not every proxy can choose one itself.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

fn write_certificate(dir: &TempDir) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in
        [("cert.pem", &certificate), ("key.pem", &key), ("both.pem", &(certificate.clone() + &key))]
    {
        fs::write(dir.path().join(name), text).expect("writes");
    }
}

/// The versions of all that is measured, and of what measures.
pub(crate) fn versions() -> String {
    let first = |program: &str, flag: &str| {
        let told = Command::new(program).arg(flag).output();
        let told = told.map(|told| [told.stdout, told.stderr].concat()).unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        told.lines().next().unwrap_or("is not installed").to_owned()
    };
    let all = [
        first(env!("CARGO_BIN_EXE_loginward"), "--version"),
        first("nginx", "-v"),
        first("haproxy", "-v"),
        first("redis-server", "--version"),
        first("wrk", "-v"),
        first("h2load", "--version"),
        first("uname", "-srm"),
    ];
    all.join("; ")
}

/// Believes whoever answers: it is the bench's own.
#[derive(Debug)]
struct Believing(Vec<SignatureScheme>);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
