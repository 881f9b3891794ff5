//! Durations and sizes as operators write them: `1.5s`, `10m`, `64KiB`.

use std::time::Duration;

const DURATIONS: &[(&str, u128)] = &[
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZES: &[(&str, u128)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("KiB", 1024),
    ("MB", 1_000_000),
    ("MiB", 1024 * 1024),
    ("GB", 1_000_000_000),
    ("GiB", 1024 * 1024 * 1024),
];

/// Longer than any operator waits; `never` is a word of its own.
const LONGEST: Duration = Duration::from_secs(36_525 * 86_400);

/// The duration that `written` is; otherwise what would be right.
pub(super) fn duration(written: &str) -> Result<Duration, &'static str> {
    let nanos = measure(written, DURATIONS).map_err(|error| match error {
        Unmeasured::Number => "write a duration such as 500ms, 1.5s, 10m, 2h or 1d",
        Unmeasured::NoUnit => "it needs a unit: ms, s, m, h or d, such as 10m",
        Unmeasured::Unit => "the units are ms, s, m, h and d, such as 10m",
    })?;
    let duration = u64::try_from(nanos).map(Duration::from_nanos).unwrap_or(Duration::MAX);
    if duration > LONGEST { Err("at most 36525d, a hundred years") } else { Ok(duration) }
}

/// The number of bytes that `written` is; otherwise what would be right.
pub(super) fn size(written: &str) -> Result<usize, &'static str> {
    let bytes = measure(written, SIZES).map_err(|error| match error {
        Unmeasured::Number => "write a size such as 512B, 64KiB or 1.5MiB",
        Unmeasured::NoUnit => "it needs a unit: B, kB, KiB, MB or MiB, such as 64KiB",
        Unmeasured::Unit => "the units are B, kB, KiB, MB and MiB, such as 64KiB",
    })?;
    usize::try_from(bytes).map_err(|_| "that is more than there is")
}

/// A number of bytes as operators write it.
pub(super) fn shown(bytes: usize) -> String {
    let units = [("MiB", 1024 * 1024), ("KiB", 1024)];
    let whole = units.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match whole {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// Why a text is no measure.
enum Unmeasured {
    /// It does not begin with a number.
    Number,
    /// Nothing follows the number.
    NoUnit,
    /// Something else follows it.
    Unit,
}

/// A decimal number and a unit, as so many of the smallest unit; what is below that is cut off.
fn measure(written: &str, units: &[(&str, u128)]) -> Result<u128, Unmeasured> {
    let end = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
    let (number, unit) = written.split_at_checked(end).ok_or(Unmeasured::Number)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || whole.len() > 18 || fraction.len() > 9 {
        return Err(Unmeasured::Number);
    }
    let whole: u128 = whole.parse().map_err(|_| Unmeasured::Number)?;
    let parts: u128 = fraction.parse().map_err(|_| Unmeasured::Number)?;
    let unit = match unit.trim_start() {
        "" => return Err(Unmeasured::NoUnit),
        unit => units.iter().find(|(name, _)| *name == unit).ok_or(Unmeasured::Unit)?.1,
    };
    let fraction_of = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
    Ok(whole * unit + parts * unit / fraction_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_may_have_fractions() {
        for (written, expected) in [
            ("500ms", Ok(Duration::from_millis(500))),
            ("1.5s", Ok(Duration::from_millis(1500))),
            ("15m", Ok(Duration::from_secs(900))),
            ("2 h", Ok(Duration::from_secs(7200))),
            ("0.5d", Ok(Duration::from_secs(43_200))),
            ("0s", Ok(Duration::ZERO)),
            ("10", Err("it needs a unit: ms, s, m, h or d, such as 10m")),
            ("10min", Err("the units are ms, s, m, h and d, such as 10m")),
            ("-1s", Err("write a duration such as 500ms, 1.5s, 10m, 2h or 1d")),
            ("1.s", Err("write a duration such as 500ms, 1.5s, 10m, 2h or 1d")),
            ("1.2.3s", Err("write a duration such as 500ms, 1.5s, 10m, 2h or 1d")),
            ("", Err("write a duration such as 500ms, 1.5s, 10m, 2h or 1d")),
            ("999999999999999999d", Err("at most 36525d, a hundred years")),
        ] {
            assert_eq!(duration(written), expected, "{written}");
        }
    }

    #[test]
    fn sizes_have_units_and_may_have_fractions() {
        for (written, expected) in [
            ("512B", Ok(512)),
            ("10kB", Ok(10_000)),
            ("64KiB", Ok(65_536)),
            ("1.5MiB", Ok(1_572_864)),
            ("64", Err("it needs a unit: B, kB, KiB, MB or MiB, such as 64KiB")),
            ("64K", Err("the units are B, kB, KiB, MB and MiB, such as 64KiB")),
            ("lots", Err("write a size such as 512B, 64KiB or 1.5MiB")),
        ] {
            assert_eq!(size(written), expected, "{written}");
        }
    }
}
