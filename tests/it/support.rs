//! What the tests are written with: a guard, an upstream that does what it is told, a client that
//! speaks plainly, and bounded waiting.

pub mod answer;
pub mod ask;
pub mod client;
pub mod event;
pub mod gate;
pub mod guard;
pub mod lines;
pub mod request;
pub mod setup;
pub mod socket;
pub mod upstream;
pub mod wait;
pub mod wire;

pub use answer::Answer;
pub use ask::Ask;
pub use client::Client;
pub use gate::Gate;
pub use guard::Guard;
pub use request::Request;
pub use setup::Setup;
pub use upstream::{Conversation, Upstream};
