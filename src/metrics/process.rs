//! The process as the system sees it, under the names that all of Prometheus' libraries use.

use std::fmt::Error;
use std::fs;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock::Clock;

/// Encodes what the system knows of the process.
#[derive(Debug)]
pub(super) struct Process {
    /// When it began, since 1970.
    started: Duration,
}

impl Process {
    /// This one, which begins now.
    pub(super) fn begins() -> Self {
        Self { started: Clock::system().wall_now() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let started = self.started.as_secs_f64();
        let mut rows = vec![(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970.",
            started,
        )];
        // where /proc is not, neither are these
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = kilobytes(&status, "VmRSS:");
        let help = "Memory of the process that is in use, in bytes.";
        rows.extend(resident.map(|bytes| ("process_resident_memory_bytes", help, bytes)));
        let help = "The most memory that was ever in use, in bytes.";
        let most = kilobytes(&status, "VmHWM:");
        rows.extend(most.map(|bytes| ("process_resident_memory_max_bytes", help, bytes)));
        for (name, help, value) in rows {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

/// Encodes for how long the guard has run.
#[derive(Debug)]
pub(super) struct Uptime(pub(super) Duration);

impl Collector for Uptime {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "For how long the guard has run.";
        let metric = encoder.encode_descriptor("uptime_seconds", help, None, MetricType::Gauge)?;
        let uptime = Clock::system().wall_now().saturating_sub(self.0);
        ConstGauge::new(uptime.as_secs_f64()).encode(metric)
    }
}

/// What `status`, as Linux writes it, says under `name`, in bytes.
fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(number) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_in_use_is_read_from_what_linux_says() {
        let status = "Name:\tloginward\nVmHWM:\t   23000 kB\nVmRSS:\t   20344 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(20_344.0 * 1024.0));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
        assert_eq!(kilobytes("VmRSS: many\n", "VmRSS:"), None);
    }
}
