//! What was reset at one guard is forgotten at the others, so that none of them goes on with it, or
//! offers it to another server, while the store is away.
//!
//! Whoever resets counters says which, in a list on the server. The others look for what is new in
//! it while no attempt waits, and ask how these counters stand now.

use std::sync::{Arc, Mutex};

use redis::Value;

use super::background::By;
use super::outage::Outage;
use super::shared::Shared;
use crate::policy::key::Key;
use crate::store::Store;
use crate::store::memory::lock;
use crate::store::slot::Slot;

/// So many counters are named at once: a key has 16 bytes.
const AT_ONCE: usize = 256;
/// So many times they are named before the first are forgotten, about.
const MOST: usize = 2048;
/// So many of them are read at once.
const READ_AT_ONCE: usize = 16;
/// For so many milliseconds they are remembered after the last.
const KEPT: u64 = 3_600_000;
/// What comes before the first.
const NOTHING: &str = "0-0";

/// How far the list was read.
#[derive(Debug)]
pub struct Heard(Mutex<String>);

impl Default for Heard {
    fn default() -> Self {
        Self(Mutex::new(NOTHING.to_owned()))
    }
}

impl Heard {
    /// The list may be another one.
    pub fn begin_anew(&self) {
        NOTHING.clone_into(&mut lock(&self.0));
    }
}

impl Store {
    /// Tells other guards that these counters were reset.
    ///
    /// # Errors
    ///
    /// When the server cannot be told.
    pub async fn spread_reset(
        &self,
        (shared, by): (&Shared, By),
        slots: &[Arc<Slot>],
    ) -> Result<(), Outage> {
        if slots.is_empty() {
            return Ok(());
        }
        let name = shared.names.resets();
        for some in slots.chunks(AT_ONCE) {
            let keys: Vec<u8> = some.iter().flat_map(|slot| slot.key.0.to_be_bytes()).collect();
            let mut told = redis::cmd("XADD");
            told.arg(&name).arg("MAXLEN").arg("~").arg(MOST).arg("*").arg("k").arg(keys);
            shared.ask_by(by, &told).await?;
        }
        let mut kept = redis::cmd("PEXPIRE");
        kept.arg(&name).arg(KEPT);
        shared.ask_by(by, &kept).await.map(drop)
    }

    /// Looks again at counters that were reset since this was last asked, wherever that was.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn hear_resets(&self, shared: &Shared) -> Result<(), Outage> {
        loop {
            let from = format!("({}", lock(&shared.heard.0));
            let mut asked = redis::cmd("XRANGE");
            asked.arg(shared.names.resets()).arg(from).arg("+").arg("COUNT").arg(READ_AT_ONCE);
            let answer = shared.ask_by(By::Attempt, &asked).await?;
            let (mut last, mut keys) = (None, Vec::new());
            for (id, named) in answer.as_sequence().unwrap_or_default().iter().filter_map(read) {
                last = Some(id);
                keys.extend(named);
            }
            let Some(last) = last else { return Ok(()) };
            self.look_again(shared, self.slots(&keys)).await?;
            *lock(&shared.heard.0) = last;
        }
    }
}

/// One entry of the list: which it is, and the counters that it names.
fn read(entry: &Value) -> Option<(String, Vec<Key>)> {
    let [Value::BulkString(id), fields] = entry.as_sequence()? else { return None };
    let Value::BulkString(keys) = fields.as_sequence()?.get(1)? else { return None };
    let (keys, _) = keys.as_chunks::<16>();
    let keys = keys.iter().map(|key| Key(u128::from_be_bytes(*key))).collect();
    Some((String::from_utf8(id.clone()).ok()?, keys))
}
