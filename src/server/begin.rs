//! What a guard begins with: what it kept, or what another one hands over, or nothing.

use std::io;
use std::sync::Arc;

use super::StartError;
use super::inherited::Inherited;
use crate::clock::Clock;
use crate::config::Settings;
use crate::guard::Shared;
use crate::policy::key::{Fingerprinter, Keyer};
use crate::snapshot::{Keeping, Snapshot};
use crate::store::gate::Standing;
use crate::store::redis::fleet_key;

/// What all workers share, and who keeps the counters. To be done by the user and with the rights that
/// the guard will have. Counters that were kept are here when it returns; those of a predecessor are
/// still to come.
pub(super) fn begin(
    settings: Settings,
    clock: Clock,
    inherited: &mut Inherited,
) -> Result<(Arc<Shared>, Option<Keeping>), StartError> {
    let path = settings.store.snapshot.as_deref();
    let snapshot = match (path, inherited.secrets) {
        (None, _) => None,
        (Some(path), None) => Some(Snapshot::open(path)?),
        (Some(path), Some(_)) => Some(Snapshot::inherit(path, inherited.lock.take())?),
    };
    let (kept, fingerprinter, standing) = match inherited.secrets {
        Some((keyer, fingerprinter)) => (Some(keyer), fingerprinter, Standing::Awaiting),
        None => {
            let kept = snapshot.as_ref().and_then(Snapshot::keyer);
            (kept, Fingerprinter::new(random()?), Standing::Open)
        }
    };
    // a predecessor that counted alone hashed under a key of its own, which other guards do not have
    let shared_by_all = settings.store.redis.as_deref().map(fleet_key::keyer);
    let keyer = shared_by_all.or(kept).map_or_else(|| random().map(Keyer::new), Ok)?;
    let shared = Shared::new(settings, clock, (keyer, fingerprinter), standing);
    // the limits are known by now
    let keeping = snapshot.map(|snapshot| snapshot.keep(&shared.store)).transpose()?;
    shared.note_certificates();
    Ok((shared, keeping))
}

/// A secret.
pub(super) fn random() -> Result<[u8; 16], StartError> {
    let mut secret = [0; 16];
    let filled = getrandom::fill(&mut secret).map_err(io::Error::other);
    filled.map_err(|error| StartError::new("no random numbers", error))?;
    Ok(secret)
}
