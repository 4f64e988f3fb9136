//! How long payments took, from the first submission to the answer.

use std::time::Duration;

/// All latencies of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Of a run.
    pub(crate) fn of(all: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = all.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// The latency that `per_mille` of a thousand payments did not exceed; zero if there were none.
    pub(crate) fn at(&self, per_mille: usize) -> Duration {
        let rank = (self.sorted.len() * per_mille).div_ceil(1000).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_ranks() {
        let ms = |n| Duration::from_millis(n);
        let latencies = Latencies::of((1..=200).rev().map(ms));
        assert_eq!((latencies.at(500), latencies.at(990), latencies.max()), (ms(100), ms(198), ms(200)));
        assert_eq!(Latencies::of([]).at(500), Duration::ZERO);
        assert_eq!(Latencies::of([ms(3)]).at(10), ms(3));
    }
}
