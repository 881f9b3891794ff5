//! An upstream that does what the test says and remembers what it got.

use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use rustls::{ServerConfig, ServerConnection};

use super::request::Request;
use super::socket::Socket;
use super::wait::PATIENCE;
use super::wire::Wire;

/// An application, as far as the guard can tell.
#[derive(Debug)]
pub struct Upstream {
    url: String,
    seen: Arc<Seen>,
    ends: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Seen {
    what: Mutex<What>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct What {
    requests: Vec<Request>,
    opened: usize,
    closed: usize,
}

impl What {
    /// The number of a connection that has just been opened.
    const fn open(&mut self) -> usize {
        self.opened += 1;
        self.opened - 1
    }
}

/// One connection of the guard's, from the upstream's side.
#[derive(Debug)]
pub struct Conversation {
    /// Its number, from 0.
    pub connection: usize,
    /// The connection, for what is no plain question and answer.
    pub wire: Wire,
    seen: Arc<Seen>,
}

impl Upstream {
    /// One that answers each request with what `answer` says, byte for byte.
    pub fn answering<T: AsRef<[u8]>>(
        answer: impl Fn(&Request) -> T + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(move |talk| {
            while let Some(request) = talk.request() {
                talk.send(answer(&request));
            }
        })
    }

    /// One that says `hello` to everything.
    pub fn hello() -> Self {
        Self::answering(|_| ok("hello"))
    }

    /// An application with a login form at `/login`: with the password `right` it redirects to
    /// `/app` and sets a session cookie, with any other it shows the form again.
    pub fn shop() -> Self {
        Self::answering(shop)
    }

    /// One whose every connection is in the hands of `script`, and ends with it.
    pub fn scripted(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", script)
    }

    /// The same at an address of one's choice.
    pub fn at(address: &str, script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self::new(format!("http://{address}"));
        let accept = move || listener.accept().map(|(stream, _)| Socket::from(stream));
        upstream.serve(accept, script);
        upstream
    }

    /// One that speaks TLS as `config` says, certified for `localhost`.
    pub fn scripted_tls(
        config: ServerConfig,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = Self::new(format!("https://localhost:{port}"));
        let config = Arc::new(config);
        let accept = move || {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            listener.accept().map(|(stream, _)| Socket::serve_tls(stream, connection))
        };
        upstream.serve(accept, script);
        upstream
    }

    /// The same at a unix socket.
    pub fn scripted_unix(
        path: &Path,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let upstream = Self::new(format!("unix:{}", path.display()));
        let accept = move || listener.accept().map(|(stream, _)| Socket::from(stream));
        upstream.serve(accept, script);
        upstream
    }

    fn new(url: String) -> Self {
        Self { url, seen: Arc::default(), ends: Arc::default() }
    }

    fn serve(
        &self,
        accept: impl Fn() -> std::io::Result<Socket> + Send + 'static,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) {
        let (seen, ends, script) =
            (Arc::clone(&self.seen), Arc::clone(&self.ends), Arc::new(script));
        let next = move || accept().ok().filter(|_| !ends.load(Ordering::SeqCst));
        std::thread::spawn(move || {
            while let Some(socket) = next() {
                let connection = seen.note(What::open);
                let wire = Wire::new(socket);
                let mut talk = Conversation { connection, wire, seen: Arc::clone(&seen) };
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(&mut talk));
            }
        });
    }

    /// Takes no more connections, and waits until that is so.
    #[track_caller]
    pub fn end(self) {
        let address: SocketAddr = self.url.strip_prefix("http://").unwrap().parse().unwrap();
        drop(self);
        super::wait::until("the upstream refuses", || {
            std::net::TcpStream::connect(address).is_err()
        });
    }

    /// What a guard's configuration calls it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests it got so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.what.lock().unwrap().requests.clone()
    }

    /// The one request it got.
    #[track_caller]
    pub fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }

    /// How many requests it got so far.
    pub fn hits(&self) -> usize {
        self.seen.what.lock().unwrap().requests.len()
    }

    /// How many connections were opened to it so far.
    pub fn connections(&self) -> usize {
        self.seen.what.lock().unwrap().opened
    }

    /// Waits until it has got so many requests.
    #[track_caller]
    pub fn wait_for_hits(&self, hits: usize) {
        self.seen.wait("requests", hits, |what| what.requests.len());
    }

    /// Waits until so many of its scripts are over.
    #[track_caller]
    pub fn wait_for_closed(&self, closed: usize) {
        self.seen.wait("ended connections", closed, |what| what.closed);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // wakes whoever accepts
        match self.url.strip_prefix("unix:") {
            Some(path) => drop(std::os::unix::net::UnixStream::connect(path)),
            None => {
                let address = self.url.split_once("://").unwrap().1;
                drop(std::net::TcpStream::connect(address.replace("localhost", "127.0.0.1")));
            }
        }
    }
}

impl Seen {
    fn note<T>(&self, change: impl FnOnce(&mut What) -> T) -> T {
        let noted = change(&mut self.what.lock().unwrap());
        self.more.notify_all();
        noted
    }

    #[track_caller]
    fn wait(&self, of: &str, wanted: usize, count: impl Fn(&What) -> usize) {
        let what = self.what.lock().unwrap();
        let few = |what: &mut What| count(what) < wanted;
        let waited = self.more.wait_timeout_while(what, PATIENCE, few).unwrap();
        assert!(!waited.1.timed_out(), "only {} of {wanted} {of}", count(&waited.0));
    }
}

impl Conversation {
    /// Reads the next request, whole; `None` at the end of the connection.
    pub fn request(&mut self) -> Option<Request> {
        let mut request = self.read_head()?;
        request.body = self.wire.body(request.framing());
        self.seen.note(|what| what.requests.push(request.clone()));
        Some(request)
    }

    /// Reads the head of the next request and leaves its body to the script.
    pub fn request_head(&mut self) -> Option<Request> {
        let request = self.read_head()?;
        self.seen.note(|what| what.requests.push(request.clone()));
        Some(request)
    }

    fn read_head(&mut self) -> Option<Request> {
        // the guard may keep a connection for as long as the test takes
        let (line, fields) = self.wire.head()?;
        Some(Request::new(&line, fields, self.connection))
    }

    /// Sends bytes; whether the guard took them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes)
    }

    /// Waits until the guard has closed the connection.
    pub fn wait_for_end(&mut self) {
        self.wire.rest();
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // whoever waits for the end may rely on the other side's having been told
        self.wire.socket.shutdown(Shutdown::Write);
        self.seen.note(|what| what.closed += 1);
    }
}

/// A plain 200.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// See [`Upstream::shop`].
pub fn shop(request: &Request) -> String {
    let is_login = request.method == "POST" && request.target.starts_with("/login");
    match request.text().contains("password=right") {
        true if is_login => "HTTP/1.1 302 Found\r\nLocation: /app\r\nSet-Cookie: session=1\r\n\
                             Content-Length: 0\r\n\r\n"
            .to_owned(),
        false if is_login => ok("wrong password"),
        _ => ok("hello"),
    }
}
