//! Whatever clients and upstreams send, the guard goes on, and every request has its end.

use std::io::Read as _;

use crate::support::upstream::ok;
use crate::support::{Ask, Guard, Upstream};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// `bytes` with some of them changed, dropped, doubled or cut off.
    fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        const ODD: &[u8] = b"\r\n\0 :;,=&%\"\xff\xc3{}[]0f";
        let mut spoilt = bytes.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(spoilt.len().max(1)).min(spoilt.len().saturating_sub(1));
            match self.roll(5) {
                0 => spoilt.truncate(at),
                1 => drop((at < spoilt.len()).then(|| spoilt.remove(at))),
                2 => spoilt.insert(at, ODD[self.roll(ODD.len())]),
                3 => spoilt.extend_from_within(at..),
                _ => {
                    spoilt.iter_mut().skip(at).take(1).for_each(|b| *b = ODD[self.roll(ODD.len())])
                }
            }
        }
        spoilt
    }
}

const SITES: &str = r#"
timeouts: { head: 2s, login_body: 2s, response_head: 2s, exchange: 2s, verdict: 1s }
lockout: { limits: { by: username, failures: 1000000, cool_off: 10m } }
sites:
  - upstream: "{UPSTREAM}"
    logins:
      - path: "/login*"
        attempts: with_credentials
        username: [{ form: user }, { basic: true }]
        password: { form: password }
        session_cookie: sid
        outcome: [{ success: { status: 200, json: { /token: "*" } } }]
"#;

#[test]
fn spoilt_requests_are_answered_or_ended() {
    let upstream = Upstream::hello();
    let guard = Guard::start(SITES, &upstream);
    let parts = "--e\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nbob\r\n\
                 --e\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nx\r\n--e--\r\n";
    let whole = [
        Ask::login("bob", "x").with("Cookie", "sid=1; a=b").bytes(),
        Ask::new("POST", "/login").body("multipart/form-data; boundary=e", parts).bytes(),
        Ask::new("POST", "/login").body("application/json", "{\"user\":\"b\",\"password\":\"x\"}").bytes(),
        Ask::get("/login?user=bob").with("Authorization", "Basic Ym9iOng=").bytes(),
        b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nuser=bob\r\n0\r\n\r\n"
            .to_vec(),
        Ask::get("/chat").with("Connection", "Upgrade").with("Upgrade", "websocket").bytes(),
    ];
    let mut dice = Dice(7);
    for turn in 0..1200 {
        let bytes = dice.spoil(&whole[turn % whole.len()]);
        let mut client = guard.client();
        client.send(&bytes).half_close();
        let answer = client.wire.rest();
        let is_http = answer.starts_with(b"HTTP/1.") || answer.is_empty();
        assert!(is_http, "{:?} to {:?}", String::from_utf8_lossy(&answer), bytes);
    }
    assert_eq!(guard.client().get("/").text(), "hello");
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
}

#[test]
fn spoilt_answers_are_passed_on_or_replaced() {
    let whole = [
        ok("{\"token\": \"x\"}"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tok\r\n0\r\nX: y\r\n\r\n"
            .to_owned(),
        "HTTP/1.0 302 Found\r\nLocation: //x/y\r\nSet-Cookie: sid=2; Max-Age=x\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ];
    let dice = std::sync::Mutex::new((Dice(11), 0));
    let upstream = Upstream::scripted(move |talk| {
        if talk.request().is_some() {
            let mut dice = dice.lock().unwrap();
            dice.1 += 1;
            let at = dice.1 % whole.len();
            let spoilt = dice.0.spoil(whole[at].as_bytes());
            talk.send(spoilt);
        }
    });
    let guard = Guard::start(SITES, &upstream);
    for turn in 0..600 {
        let ask = if turn % 2 == 0 { Ask::login("bob", "x") } else { Ask::get("/") };
        let mut client = guard.client();
        client.send(ask.bytes()).half_close();
        let answer = client.wire.rest();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(guard.metric("loginward_places", "") as u32, 0);
    let mut end = Vec::new();
    let mut client = guard.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.wire.socket.read_to_end(&mut end).unwrap();
    assert!(end.starts_with(b"HTTP/1.1 "), "it goes on");
}
