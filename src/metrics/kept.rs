//! Numbers about the file that keeps the counters.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::store::Store;

/// How it stands with the file that keeps the counters of `store`; nothing where there is none.
pub(super) fn encode(store: &Store, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
    let Some(progress) = store.progress() else { return Ok(()) };
    let numbers = progress.numbers(store.clock().now());
    for (name, help, value) in [
        ("snapshot_bytes", "Length of the file that keeps the counters", numbers.bytes as f64),
        (
            "snapshot_latest_write_timestamp_seconds",
            "When it was written last",
            numbers.latest.as_secs_f64(),
        ),
        (
            "snapshot_behind_seconds",
            "For how long something that changed has not been in it",
            numbers.behind.as_secs_f64(),
        ),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)?;
    }
    let help = "How often it could not be written, or not in time, or was lost";
    let metric = encoder.encode_descriptor("snapshot_errors", help, None, MetricType::Counter)?;
    ConstCounter::new(numbers.errors).encode(metric)
}
