//! Figures: rates, percentiles, and what the process used. Nothing here is money, so it may be a fraction.

#![expect(clippy::float_arithmetic, reason = "rates and ratios are fractions; no money is counted here")]

use std::time::Duration;

use serde::Serialize;

use crate::driver::Latencies;

/// How many of something in a second, as a whole number.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let nanoseconds = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

/// One rate as a share of another, with three digits.
pub(crate) fn ratio(one: u64, other: u64) -> f64 {
    round(one as f64 / other.max(1) as f64)
}

/// Milliseconds with three digits behind the point.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}

fn round(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

/// The latencies of whole batches, as they are reported.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct BatchLatency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl BatchLatency {
    pub(crate) fn of(latencies: &Latencies) -> Self {
        let [p50, p99, max] = [500, 990, 1_000].map(|per_mille| milliseconds(latencies.at(per_mille)));
        Self { p50, p99, max }
    }
}

/// The most memory that this process has had, in bytes; 0 where the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_whole_numbers_per_second() {
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
        assert_eq!(ratio(1, 3), 0.333);
    }
}
