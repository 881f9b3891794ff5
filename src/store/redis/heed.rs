//! Operators lock, unlock and reset where nobody asks, too: every guard looks for itself whether they
//! have, so that it knows soon what others do, at whichever sites.

use redis::{Cmd, Value};

use super::background::By;
use super::hands::Stands;
use super::outage::Outage;
use super::shared::Shared;
use crate::store::Store;

/// What no site is called: the mark of the whole fleet is kept under it.
const FLEET: &str = "";

impl Store {
    /// Looks whether other guards have reset, locked or unlocked anything since this was last asked.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn heed(&self, shared: &Shared) -> Result<(), Outage> {
        if shared.is_away() {
            return Ok(());
        }
        self.heed_hands(shared).await?;
        self.hear_resets(shared).await
    }

    /// Reads the locks by hand anew if they have changed since this was last asked.
    async fn heed_hands(&self, shared: &Shared) -> Result<(), Outage> {
        let mark = mark_there(shared, By::Attempt).await?;
        if mark.as_deref().is_none_or(|mark| *shared.changes.known(FLEET) == *mark) {
            return Ok(());
        }
        Box::pin(self.read_hands(shared)).await?;
        shared.changes.learn(&FLEET.into(), &mark.unwrap_or_default());
        Ok(())
    }

    /// Offers the locks by hand that are known here to a server that may not have them. What lasts
    /// longer there stands.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub async fn offer_hands(&self, shared: &Shared) -> Result<(), Outage> {
        let to = (shared, By::Recovery);
        let mark = mark_there(shared, By::Recovery).await?;
        if mark.is_some_and(|mark| *shared.changes.known(FLEET) == *mark) {
            return Ok(()); // it has the very list that was read here
        }
        for (selector, hand) in self.hand_locks() {
            // there is nobody to tell that there are too many
            self.lock_shared(to, &selector, &hand, Stands::IfLonger).await?.ok();
        }
        Ok(())
    }
}

impl Shared {
    /// Has the server carry out a command.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub async fn ask_by(&self, by: By, command: &Cmd) -> Result<Value, Outage> {
        match by {
            By::Attempt => Box::pin(self.wire.command(command)).await,
            By::Recovery => Box::pin(self.wire.command_anyway(command)).await,
        }
    }
}

/// The mark of the list as the server has it; nothing where it has none.
async fn mark_there(shared: &Shared, by: By) -> Result<Option<String>, Outage> {
    let mut asked = redis::cmd("GET");
    asked.arg(shared.names.hands_mark());
    let answer = shared.ask_by(by, &asked).await?;
    let Value::BulkString(mark) = answer else { return Ok(None) };
    Ok(String::from_utf8(mark).ok())
}
