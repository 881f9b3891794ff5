//! Whoever is connected over TCP: a stranger, until he has shown the token.
//!
//! Anybody on this machine can connect. Strangers have so much room, and the one who has been there
//! longest makes room for the next; whoever has shown the token has a place of his own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::crowd::{Crowd, Visit};

/// Somebody who is connected.
#[derive(Debug)]
pub struct Guest {
    stranger: Option<Visit>,
    places: Arc<Semaphore>,
    own: RefCell<Option<OwnedSemaphorePermit>>,
}

impl Guest {
    /// One who has a place already.
    #[must_use]
    pub const fn known(places: Arc<Semaphore>, own: OwnedSemaphorePermit) -> Self {
        Self { stranger: None, places, own: RefCell::new(Some(own)) }
    }

    /// One of whom nothing is known yet.
    #[must_use]
    pub fn stranger(strangers: &Rc<Crowd>, places: Arc<Semaphore>) -> Self {
        Self { stranger: Some(strangers.enter()), places, own: RefCell::default() }
    }

    /// He has shown the token; waits until there is a place for him. Dropping the future leaves him a
    /// stranger.
    pub async fn is_known(&self) {
        if self.own.borrow().is_some() {
            return;
        }
        // it is never closed
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
        *self.own.borrow_mut() = Some(place);
        if let Some(stranger) = &self.stranger {
            stranger.leave();
        }
    }

    /// Waits until he has to go, which comes to strangers alone. Dropping the future changes nothing.
    pub async fn must_go(&self) {
        match &self.stranger {
            Some(stranger) => stranger.must_go().await,
            None => std::future::pending().await,
        }
    }
}
