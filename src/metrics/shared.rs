//! Numbers about the store that several guards share.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::store::redis::wire::Wire;

/// How it stands with the store that `wire` leads to; nothing where there is none.
pub(super) fn encode(
    wire: Option<&Wire>,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), Error> {
    let Some(wire) = wire else { return Ok(()) };
    let help =
        "1 while the shared store is asked, 0 from when it failed until it is up to date again.";
    let metric = encoder.encode_descriptor("store_up", help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(!wire.breaker().is_open())).encode(metric)?;
    let help = "Calls of the shared store, by what was asked and what came of it.";
    let mut metric = encoder.encode_descriptor("store_calls", help, None, MetricType::Counter)?;
    wire.meter().each(|kind, result, calls| {
        let labels = [("kind", kind), ("result", result)];
        ConstCounter::new(calls).encode(metric.encode_family(&labels)?)
    })?;
    let help = "Time until the shared store has answered, or is given up; with connecting, where that \
                was needed.";
    let mut metric =
        encoder.encode_descriptor("store_call_seconds", help, None, MetricType::Histogram)?;
    let took = wire.meter().took();
    metric.encode_histogram::<NoLabelSet>(took.sum, took.count, &took.buckets, None)
}
