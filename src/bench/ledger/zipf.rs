//! A few accounts in most transfers, as with merchants (Gray et al., «Quickly generating billion-record synthetic
//! databases», 1994).

#![expect(clippy::float_arithmetic, reason = "a distribution; no money is counted here")]

/// How skewed; what YCSB uses.
const THETA: f64 = 0.99;

/// Picks numbers below `count`, the n-th most frequent about 1/n as often as the first.
#[derive(Debug)]
pub(super) struct Zipf {
    count: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    pub(super) fn new(count: u64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|i| (i as f64).powf(-THETA)).sum::<f64>();
        let (zeta, zeta_2) = (zeta_of(count), zeta_of(2));
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta_2 / zeta);
        Self { count, zeta, alpha: 1.0 / (1.0 - THETA), eta, second: 1.0 + 0.5f64.powf(THETA) }
    }

    /// The pick that belongs to a random number. Frequent picks are spread over the whole range.
    pub(super) fn pick(&self, random: u64) -> u64 {
        let even = random as f64 / u64::MAX as f64;
        let scaled = even * self.zeta;
        let rank = if scaled < 1.0 {
            0
        } else if scaled < self.second {
            1
        } else {
            (self.count as f64 * (self.eta * even - self.eta + 1.0).powf(self.alpha)) as u64
        };
        let rank = rank.min(self.count - 1);
        u64::try_from(u128::from(rank) * 0x9E37_79B9_7F4A_7C15 % u128::from(self.count)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::Random;
    use super::*;

    #[test]
    fn the_first_is_picked_about_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(1_000), Random::new(7));
        let mut seen = vec![0u32; 1_000];
        (0..200_000).for_each(|_| seen[zipf.pick(random.next()) as usize] += 1);
        seen.sort_unstable_by(|a, b| b.cmp(a));
        assert!(seen[0] > seen[1] * 17 / 10 && seen[0] < seen[1] * 23 / 10, "{:?}", &seen[..3]);
        assert!(seen[0] > 200_000 / 10, "a tenth of all goes to one account: {}", seen[0]);
    }
}
