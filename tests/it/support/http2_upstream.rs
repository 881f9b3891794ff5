//! An upstream that speaks HTTP/2 through TLS.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::wait::PATIENCE;

/// An application that speaks HTTP/2, as far as the guard can tell.
pub struct Http2Upstream {
    url: String,
    seen: Arc<Seen>,
    cut: Arc<Notify>,
    leave: Arc<Notify>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Seen {
    what: Mutex<What>,
    more: Condvar,
}

#[derive(Default)]
struct What {
    streams: Vec<Stream>,
    resets: Vec<Reason>,
    opened: usize,
    closed: usize,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// Its head.
    pub method: String,
    /// `https://shop.test/login`.
    pub uri: http::Uri,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// What came after the body.
    pub trailers: Option<HeaderMap>,
}

impl Stream {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What comes of a request.
pub enum Act {
    /// This answer, and what comes after it.
    Answer(Box<Response<Bytes>>, Option<HeaderMap>),
    /// Its stream is reset.
    Reset(Reason),
    /// No answer as long as the connection lasts; what the guard does about it is noted.
    Hold,
}

impl Act {
    /// This answer, and what comes after it.
    pub fn answer(answer: Response<Bytes>, trailers: Option<HeaderMap>) -> Self {
        Self::Answer(Box::new(answer), trailers)
    }

    /// A plain 200.
    pub fn ok(body: &str) -> Self {
        Self::answer(Response::new(Bytes::copy_from_slice(body.as_bytes())), None)
    }

    /// As [`super::upstream::shop`].
    pub fn shop(request: &Stream) -> Self {
        let is_login = request.method == "POST" && request.uri.path() == "/login";
        let is_right = String::from_utf8_lossy(&request.body).contains("password=right");
        match (is_login, is_right) {
            (true, true) => {
                let answer = Response::builder().status(302).header("set-cookie", "session=1");
                Self::answer(answer.body(Bytes::new()).unwrap(), None)
            }
            (true, false) => Self::ok("wrong password"),
            (false, _) => Self::ok("hello"),
        }
    }
}

impl Http2Upstream {
    /// One that speaks TLS as `config` says, certified for `localhost`.
    pub fn start(
        config: ServerConfig,
        act: impl Fn(&Stream) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::with(config, &Builder::new(), act)
    }

    /// The same, set up as `builder` says.
    pub fn with(
        mut config: ServerConfig,
        builder: &Builder,
        act: impl Fn(&Stream) -> Act + Send + Sync + 'static,
    ) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (seen, cut, leave) = (Arc::<Seen>::default(), Arc::default(), Arc::default());
        let serving = Serving {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            builder: builder.clone(),
            act: Arc::new(act),
            seen: Arc::clone(&seen),
            cut: Arc::clone(&cut),
            leave: Arc::clone(&leave),
        };
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serving.clone().connection(socket));
            }
        });
        Self { url, seen, cut, leave, runtime: Some(runtime) }
    }

    /// What a guard's configuration calls it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests it got so far.
    pub fn streams(&self) -> Vec<Stream> {
        self.seen.what.lock().unwrap().streams.clone()
    }

    /// How many connections were opened to it so far.
    pub fn connections(&self) -> usize {
        self.seen.what.lock().unwrap().opened
    }

    /// Why the guard reset streams whose answers were held back.
    pub fn resets(&self) -> Vec<Reason> {
        self.seen.what.lock().unwrap().resets.clone()
    }

    /// Ends every connection at once, without a word.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Takes no more requests on the connections that are open, and says so.
    pub fn leave(&self) {
        self.leave.notify_waiters();
    }

    /// Waits until it has got so many requests.
    #[track_caller]
    pub fn wait_for_streams(&self, streams: usize) {
        self.wait("requests", streams, |what| what.streams.len());
    }

    /// Waits until the guard has reset so many streams.
    #[track_caller]
    pub fn wait_for_resets(&self, resets: usize) {
        self.wait("resets", resets, |what| what.resets.len());
    }

    /// Waits until so many connections have ended.
    #[track_caller]
    pub fn wait_for_closed(&self, closed: usize) {
        self.wait("ended connections", closed, |what| what.closed);
    }

    #[track_caller]
    fn wait(&self, of: &str, wanted: usize, count: impl Fn(&What) -> usize) {
        let what = self.seen.what.lock().unwrap();
        let few = |what: &mut What| count(what) < wanted;
        let waited = self.seen.more.wait_timeout_while(what, PATIENCE, few).unwrap();
        assert!(!waited.1.timed_out(), "only {} of {wanted} {of}", count(&waited.0));
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Seen {
    fn note<T>(&self, change: impl FnOnce(&mut What) -> T) -> T {
        let noted = change(&mut self.what.lock().unwrap());
        self.more.notify_all();
        noted
    }
}

#[derive(Clone)]
struct Serving {
    acceptor: TlsAcceptor,
    builder: Builder,
    act: Arc<dyn Fn(&Stream) -> Act + Send + Sync>,
    seen: Arc<Seen>,
    cut: Arc<Notify>,
    leave: Arc<Notify>,
}

impl Serving {
    async fn connection(self, socket: TcpStream) {
        let Ok(stream) = self.acceptor.accept(socket).await else { return };
        let number = self.seen.note(|what| {
            what.opened += 1;
            what.opened - 1
        });
        if let Ok(connection) = self.builder.handshake(stream).await {
            self.streams(connection, number).await;
        }
        self.seen.note(|what| what.closed += 1);
    }

    async fn streams(
        &self,
        mut connection: Connection<tokio_rustls::server::TlsStream<TcpStream>, Bytes>,
        number: usize,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = self.cut.notified() => return,
                () = self.leave.notified() => {
                    connection.graceful_shutdown();
                    continue;
                }
            };
            let Some(Ok((request, respond))) = accepted else { return };
            let serving = self.clone();
            tokio::spawn(async move { serving.stream(number, request, respond).await });
        }
    }

    async fn stream(
        &self,
        connection: usize,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Option<()> {
        let (head, mut incoming) = request.into_parts();
        let mut body = Vec::new();
        while let Some(data) = incoming.data().await {
            let Ok(data) = data else {
                self.seen.note(|what| what.resets.push(Reason::CANCEL));
                return None;
            };
            body.extend_from_slice(&data);
            incoming.flow_control().release_capacity(data.len()).ok()?;
        }
        let trailers = incoming.trailers().await.ok()?;
        let (method, uri, headers) = (head.method.to_string(), head.uri, head.headers);
        let stream = Stream { connection, method, uri, headers, body, trailers };
        self.seen.note(|what| what.streams.push(stream.clone()));
        match (self.act)(&stream) {
            Act::Answer(answer, trailers) => {
                let (head, body) = answer.into_parts();
                let is_bare = body.is_empty() && trailers.is_none();
                let head = Response::from_parts(head, ());
                let mut sending = respond.send_response(head, is_bare).ok()?;
                if !is_bare {
                    sending.send_data(body, trailers.is_none()).ok()?;
                }
                if let Some(trailers) = trailers {
                    sending.send_trailers(trailers).ok()?;
                }
            }
            Act::Reset(reason) => respond.send_reset(reason),
            Act::Hold => {
                let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                self.seen.note(|what| what.resets.push(reset.unwrap_or(Reason::CONNECT_ERROR)));
            }
        }
        Some(())
    }
}
