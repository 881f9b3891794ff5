//! What was seen of sessions and credentials on its way to another process: hashes.

use std::sync::Arc;

use super::Seen;
use crate::clock::Moment;
use crate::policy::key::{AccountId, Fingerprint};
use crate::store::handover::Frames;
use crate::store::memory::Recent;
use crate::wire::{Reader, Writer};

const CLAIMED: u8 = 1;
const PROVEN: u8 = 2;
const ACCEPTED: u8 = 3;
const WRONG: u8 = 4;
const CHALLENGED: u8 = 5;

impl Seen {
    /// Everything that is remembered at `now`, as frames.
    #[must_use]
    pub fn hand_over(&self, now: Moment) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(now);
        let accounts = |to: &mut Writer, accounts: Arc<[AccountId]>| {
            to.number(accounts.len() as u64);
            accounts.iter().for_each(|account| to.hash(account.0));
        };
        write(&mut frames, CLAIMED, (&self.claimed, now), accounts);
        write(&mut frames, PROVEN, (&self.proven, now), accounts);
        write(&mut frames, ACCEPTED, (&self.accepted, now), |_, ()| {});
        write(&mut frames, WRONG, (&self.wrong, now), |_, ()| {});
        write(&mut frames, CHALLENGED, (&self.challenged, now), |to, with| {
            to.optional(with.map(|with| with.0), Writer::hash);
        });
        frames.done()
    }

    /// Takes one frame in; `None` where it cannot be read. What is known here already stays.
    pub fn take_over(&self, frame: &[u8], now: Moment) -> Option<()> {
        let mut reader = Reader::new(frame, now);
        while !reader.is_done() {
            let kind = reader.byte()?;
            let (what, until) = (Fingerprint(reader.hash()?), reader.moment()?);
            match kind {
                CLAIMED | PROVEN => {
                    let accounts = reader.several(|from| from.hash().map(AccountId))?;
                    let is_known = self.proven.get(what, now).is_some();
                    match kind {
                        PROVEN if is_known => self.belongs_also(what, &accounts, now),
                        PROVEN => self.proven.remember(what, accounts.into(), until),
                        _ => self.claimed.remember(what, accounts.into(), until),
                    }
                }
                ACCEPTED => self.accepted.remember(what, (), until),
                WRONG => self.wrong.remember(what, (), until),
                CHALLENGED => {
                    let with = reader.optional(Reader::hash)?.map(Fingerprint);
                    self.challenged.remember(what, with, until);
                }
                _ => return None,
            }
        }
        Some(())
    }
}

fn write<V: Clone + Send + Sync + 'static>(
    frames: &mut Frames,
    kind: u8,
    (recent, now): (&Recent<V>, Moment),
    write: impl Fn(&mut Writer, V),
) {
    for (what, until, value) in recent.all(now) {
        frames.writer.byte(kind);
        frames.writer.hash(what.0);
        frames.writer.moment(until);
        write(&mut frames.writer, value);
        frames.cut();
    }
}
