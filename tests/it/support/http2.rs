//! A client that speaks HTTP/2 through TLS, each request on a stream of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::Authority;
use super::guard::Guard;
use super::wait::PATIENCE;

/// A connection.
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// A request on its way, whose answer has not come yet.
pub struct Begun {
    response: ResponseFuture,
    /// Where its body goes.
    pub body: SendStream<Bytes>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `403`.
    pub status: u16,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// What came after the body.
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and what the guard says that its own answer is.
    pub fn verdict(&self) -> (u16, &str) {
        (self.status, self.get("x-loginward").unwrap_or_default())
    }
}

impl Guard {
    /// Where it listens, if with TLS.
    #[track_caller]
    pub fn tls_addr(&self) -> SocketAddr {
        let event = self.wait_for_event("listening");
        event.get("address").strip_prefix("https://").expect("it speaks TLS").parse().unwrap()
    }
}

impl Http2 {
    /// A client that is connected to a guard which `authority` vouches for.
    #[track_caller]
    pub fn to(guard: &Guard, authority: &Authority) -> Self {
        Self::with(guard, authority, &h2::client::Builder::new())
    }

    /// The same, set up as `builder` says.
    #[track_caller]
    pub fn with(guard: &Guard, authority: &Authority, builder: &h2::client::Builder) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (address, mut config) = (guard.tls_addr(), authority.client());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let sender = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let name = ServerName::try_from("shop.test").unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect(name, socket).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (sender, connection) = builder.handshake(stream).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            sender
        });
        Self { runtime, sender }
    }

    /// A request for `target` at `shop.test`.
    pub fn request(method: &str, target: &str) -> Request<()> {
        let target = format!("https://shop.test{target}");
        Request::builder().method(method).uri(target).body(()).unwrap()
    }

    /// Sends a request and the beginning of its body, or all of it.
    #[track_caller]
    pub fn begin(&mut self, request: Request<()>, body: &[u8], ends: Ends) -> Begun {
        let (sender, runtime) = (&mut self.sender, &self.runtime);
        runtime.block_on(async { std::future::poll_fn(|c| sender.poll_ready(c)).await.unwrap() });
        let at_once = body.is_empty() && ends == Ends::Here;
        let (response, mut stream) = sender.send_request(request, at_once).unwrap();
        if !at_once {
            let body = Bytes::copy_from_slice(body);
            stream.send_data(body, ends == Ends::Here).unwrap();
        }
        Begun { response, body: stream }
    }

    /// A login form, all of it.
    #[track_caller]
    pub fn begin_login(&mut self, user: &str, password: &str) -> Begun {
        let mut request = Self::request("POST", "/login");
        let form = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert("content-type", form);
        self.begin(request, format!("user={user}&password={password}").as_bytes(), Ends::Here)
    }

    /// Waits for the head of an answer, and then has what is to come of it in hand.
    pub fn head(&self, begun: Begun) -> Result<(http::response::Parts, RecvStream), h2::Error> {
        let waited = async { tokio::time::timeout(PATIENCE, begun.response).await };
        self.runtime.block_on(waited).expect("an answer in time").map(http::Response::into_parts)
    }

    /// Waits for an answer.
    pub fn finish(&self, begun: Begun) -> Result<Reply, h2::Error> {
        let (head, mut stream) = self.head(begun)?;
        let rest = async {
            let mut body = Vec::new();
            while let Some(data) = stream.data().await {
                let data = data?;
                body.extend_from_slice(&data);
                stream.flow_control().release_capacity(data.len())?;
            }
            Ok::<_, h2::Error>((body, stream.trailers().await?))
        };
        let waited = async { tokio::time::timeout(PATIENCE, rest).await };
        let (body, trailers) = self.runtime.block_on(waited).expect("a body in time")?;
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, trailers })
    }

    /// The answer to a request with all of this body.
    #[track_caller]
    pub fn ask(&mut self, request: Request<()>, body: &[u8]) -> Reply {
        let begun = self.begin(request, body, Ends::Here);
        self.finish(begun).unwrap()
    }

    /// The answer to a login.
    #[track_caller]
    pub fn log_in(&mut self, user: &str, password: &str) -> Reply {
        let begun = self.begin_login(user, password);
        self.finish(begun).unwrap()
    }

    /// Waits until everything that was begun is written to the socket, as far as it may be.
    pub fn settle(&self) {
        for _ in 0..20 {
            // the connection's task has the same thread, and its turn before this one ends
            let turn = self.runtime.spawn(tokio::task::yield_now());
            self.runtime.block_on(turn).unwrap();
        }
    }

    /// Runs `future` while the connection goes on.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = async { tokio::time::timeout(PATIENCE, future).await };
        self.runtime.block_on(waited).expect("it to be over in time")
    }

    /// How many requests the guard lets it have under way.
    pub fn most_streams(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Why the connection does not take another request.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<Reason> {
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            loop {
                match std::future::poll_fn(|context| sender.poll_ready(context)).await {
                    Ok(()) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                    Err(error) => return error.reason(),
                }
            }
        })
    }
}

/// Whether a body is over with what is sent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It is.
    Here,
    /// More will come, or nothing.
    Later,
}
