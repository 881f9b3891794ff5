//! When certificates expire, and when that is to be said.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::log::line::write_time;

/// So long before the end it is time to say so.
const SOON: Duration = Duration::from_hours(14 * 24);
const DAY: Duration = Duration::from_hours(24);

/// The end of the first of `chain` to expire, since 1970; `None` where that cannot be read.
#[must_use]
pub fn not_after(chain: &[CertificateDer<'_>]) -> Option<Duration> {
    let ends = chain.iter().filter_map(|one| {
        let read = Certificate::from_der(one).ok()?;
        Some(read.tbs_certificate().validity().not_after.to_unix_duration())
    });
    ends.min()
}

/// What there is to say at `now`, since 1970, of a certificate that ends at `not_after`.
#[must_use]
pub fn doubt(not_after: Duration, now: Duration) -> Option<String> {
    let mut text = String::new();
    write_time(&mut text, not_after);
    let date = text.get(..10).unwrap_or_default();
    match not_after.checked_sub(now) {
        None => Some(format!("has expired on {date}")),
        Some(left) if left >= SOON => None,
        Some(left) if left < DAY => Some(format!("expires within a day, on {date}")),
        Some(left) => {
            Some(format!("expires in {} days, on {date}", left.as_secs() / DAY.as_secs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_days_ahead_it_is_said() {
        let end = Duration::from_secs(1_764_892_800); // 2025-12-05
        let before = |days: u64, seconds| {
            end - DAY * u32::try_from(days).unwrap() - Duration::from_secs(seconds)
        };
        assert_eq!(doubt(end, before(14, 0)), None);
        let said = doubt(end, before(13, 86_399)).unwrap();
        assert_eq!(said, "expires in 13 days, on 2025-12-05");
        assert_eq!(doubt(end, before(1, 0)).unwrap(), "expires in 1 days, on 2025-12-05");
        assert_eq!(doubt(end, before(0, 5)).unwrap(), "expires within a day, on 2025-12-05");
        assert_eq!(doubt(end, end + DAY).unwrap(), "has expired on 2025-12-05");
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        assert_eq!(not_after(&[CertificateDer::from(vec![0x30, 0])]), None);
        assert_eq!(not_after(&[]), None);
    }
}
