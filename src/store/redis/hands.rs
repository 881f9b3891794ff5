//! Locks by hand as all guards know them: a list on the server, and at every site the number of
//! times it has changed, which every admission compares.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use redis::Value;

use super::outage::Outage;
use super::shared::Shared;
use crate::policy::key::Claim;
use crate::store::Store;
use crate::store::hand::HandLock;
use crate::store::ledger::Refusal;
use crate::store::memory::lock;
use crate::store::records::read_hand;
use crate::store::select::Selector;
use crate::wire::Reader;

/// How often the list has changed, as it was told at each site when it was last read.
#[derive(Debug, Default)]
pub struct Changes(Mutex<HashMap<Arc<str>, Arc<str>>>);

impl Changes {
    /// How often, as far as it is known here.
    #[must_use]
    pub fn known(&self, site: &str) -> Arc<str> {
        lock(&self.0).get(site).map_or_else(|| "0".into(), Arc::clone)
    }

    /// The list that was read is at least as new as that.
    pub fn learn(&self, site: &Arc<str>, changes: &str) {
        lock(&self.0).insert(Arc::clone(site), changes.into());
    }

    /// The list has to be read anew, whatever was read before.
    pub fn forget(&self) {
        lock(&self.0).clear();
    }
}

impl Store {
    /// Reads the locks by hand anew, since they have changed so often, as the site of `claim` was
    /// told; the refusal that it meets then.
    pub(in crate::store) async fn refresh_hands(
        &self,
        shared: &Shared,
        claim: &Claim,
        changes: &str,
    ) -> Result<Option<Refusal>, Outage> {
        let mut asked = redis::cmd("HGETALL");
        asked.arg(shared.names.hands());
        let asked: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(shared.wire.command(&asked));
        let answer = asked.await?;
        self.adopt_hands(&answer);
        shared.changes.learn(&claim.subject.site, changes);
        Ok(self.hand_lock(&claim.subject, Some(claim)).map(Refusal::ByHand))
    }

    /// These are the locks by hand from now on. What cannot be read is left out.
    pub(in crate::store) fn adopt_hands(&self, answer: &Value) {
        let now = self.clock.now();
        let read = |bytes: &[u8]| read_hand(&mut Reader::new(bytes, now));
        let hands: Vec<(Selector, HandLock)> = values(answer).filter_map(read).collect();
        let mut ledger = lock(&self.ledger);
        ledger.hand.remove(&Selector::default(), now);
        for (selector, hand) in hands {
            // more than there may be are kept out by whoever locks
            _ = ledger.hand.lock(selector, hand, now);
        }
        ledger.note_hands();
        self.hand_locks.store(ledger.hand.count(), Ordering::Release);
    }
}

/// The values of a hash, in whichever form this version of the protocol has them.
fn values(answer: &Value) -> impl Iterator<Item = &[u8]> {
    let fields = if let Value::Map(fields) = answer { fields.as_slice() } else { &[] };
    let parts = if let Value::Array(parts) = answer { parts.as_slice() } else { &[] };
    let fields = fields.iter().map(|(_, value)| value);
    let values = fields.chain(parts.iter().skip(1).step_by(2));
    values.filter_map(|value| {
        if let Value::BulkString(bytes) = value { Some(bytes.as_slice()) } else { None }
    })
}
