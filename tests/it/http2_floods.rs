//! Floods that HTTP/2 makes cheap for a client: each ends with its connection or costs nothing,
//! memory stays bounded, and others go on being served.

use crate::support::frames::{END_HEADERS, END_STREAM, Fate, Frames, GET, POST, frame, kind};
use crate::support::{Authority, Guard, Http2, Setup, Upstream};

const ENHANCE_YOUR_CALM: u32 = 0xb;
/// More memory than a flood may cost.
const TOO_MUCH: usize = 24 << 20;

struct Flooded {
    guard: Guard,
    authority: Authority,
    other: Http2,
    peak: usize,
    upstream: Upstream,
}

impl Flooded {
    fn new() -> Self {
        let (authority, upstream) = (Authority::new(), Upstream::hello());
        let (certificate, key) = authority.certificate(&["shop.test"]);
        let setup = Setup::new(
            "listen: { address: \"127.0.0.1:0\", tls: { certificate: cert.pem, key: key.pem } }\n\
             timeouts: { send: 500ms, body: 500ms }\nworkers: 1",
        );
        let setup = setup.file("cert.pem", &certificate).file("key.pem", &key);
        let guard = setup.upstream(&upstream).start();
        let mut other = Http2::to(&guard, &authority);
        other.ask(Http2::request("GET", "/"), b"");
        let peak = guard.peak_memory();
        Self { guard, authority, other, peak, upstream }
    }

    fn client(&self) -> Frames {
        Frames::to(&self.guard, &self.authority)
    }

    #[track_caller]
    fn assert_others_are_served(&mut self) {
        assert_eq!(self.other.ask(Http2::request("GET", "/"), b"").status, 200);
        let grown = self.guard.peak_memory().saturating_sub(self.peak);
        assert!(grown < TOO_MUCH, "it took {grown} bytes");
    }
}

/// Writes `flood` in parts, until all is written or the guard has had enough.
fn flood(client: &mut Frames, flood: &[u8]) {
    for part in flood.chunks(16 * 1024) {
        if !client.write(part) {
            return;
        }
    }
}

#[test]
fn questions_whose_answers_nobody_reads_end_the_connection() {
    let mut flooded = Flooded::new();
    for question in [frame(kind::PING, 0, 0, b"12345678"), frame(kind::SETTINGS, 0, 0, b"")] {
        let mut client = flooded.client();
        flood(&mut client, &question.repeat(1_000_000));
        flooded.assert_others_are_served();
        client.fate();
    }
}

#[test]
fn a_head_that_is_continued_without_end_ends_the_connection() {
    let mut flooded = Flooded::new();
    let mut client = flooded.client();
    let field = [&b"\x00\x01x\x7f\x87\x01"[..], &[b'y'; 262]].concat();
    let mut frames = frame(kind::HEADERS, END_STREAM, 1, GET);
    for _ in 0..4000 {
        frames.extend(frame(kind::CONTINUATION, 0, 1, &field.repeat(4)));
    }
    flood(&mut client, &frames);
    let fate = client.fate();
    assert!(matches!(fate, Fate::GoneAway(ENHANCE_YOUR_CALM | 1) | Fate::Ended), "{fate:?}");
    flooded.assert_others_are_served();
    assert_eq!(flooded.upstream.hits(), 2);
}

#[test]
fn data_without_a_byte_in_it_does_not_go_on_for_ever() {
    let mut flooded = Flooded::new();
    let mut client = flooded.client();
    assert!(client.write(&frame(kind::HEADERS, END_HEADERS, 1, POST)));
    flood(&mut client, &frame(kind::DATA, 0, 1, b"").repeat(200_000));
    flooded.assert_others_are_served();
    client.fate();
}

#[test]
fn resets_that_a_client_provokes_end_its_connection() {
    let mut flooded = Flooded::new();
    let mut client = flooded.client();
    for stream in (1..2000).step_by(2) {
        let head = frame(kind::HEADERS, END_HEADERS, stream, POST);
        // more than the window of the stream can hold
        let much = frame(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
        if !client.write(&[head, much].concat()) {
            break;
        }
    }
    let fate = client.fate();
    assert!(matches!(fate, Fate::GoneAway(ENHANCE_YOUR_CALM) | Fate::Ended), "{fate:?}");
    flooded.assert_others_are_served();
}

#[test]
fn a_head_that_unfolds_to_megabytes_is_refused() {
    let mut flooded = Flooded::new();
    let mut client = flooded.client();
    let kept = [&b"\x40\x01x\x7f\xa1\x1e"[..], &[b'y'; 4000]].concat(); // becomes entry 62 or 63
    let bomb = [GET, &kept, &[0xbe; 8000][..]].concat();
    assert!(client.write(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &bomb)));
    flooded.assert_others_are_served();
    assert!(client.write(&frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])));
    assert_eq!(flooded.upstream.hits(), 2, "it was not forwarded");
}
