//! What the tests are written with: a guard, an upstream that does what it is told, a client that
//! speaks plainly, and bounded waiting.

pub mod answer;
pub mod ask;
pub mod authority;
pub mod browser;
pub mod client;
pub mod event;
pub mod exposition;
pub mod frames;
pub mod gate;
pub mod guard;
pub mod http2;
pub mod http2_upstream;
pub mod lines;
pub mod others;
pub mod redis;
pub mod redis_fleet;
pub mod relay;
pub mod request;
pub mod setup;
pub mod socket;
pub mod upstream;
pub mod wait;
pub mod wire;

pub use self::redis::RedisServer;
pub use answer::Answer;
pub use ask::Ask;
pub use authority::Authority;
pub use browser::Browser;
pub use client::Client;
pub use gate::Gate;
pub use guard::Guard;
pub use http2::{Ends, Http2};
pub use http2_upstream::{Act, Http2Upstream};
pub use others::{not_run, program, sources};
pub use redis_fleet::{RedisCluster, Sentineled};
pub use relay::Relay;
pub use request::Request;
pub use setup::Setup;
pub use upstream::{Conversation, Upstream};
