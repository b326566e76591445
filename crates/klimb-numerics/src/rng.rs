//! The only source of randomness: an explicit, seeded, portable generator.
//!
//! ChaCha with eight rounds gives the same numbers on every platform, so that a seed names a run. Independent uses
//! take independent *streams* of the same seed: adding a draw in one place never shifts the numbers in another.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::hash::fnv1a;

/// A seeded stream of random numbers.
#[derive(Clone, Debug)]
pub struct Generator(ChaCha8Rng);

impl Generator {
    /// The stream called `purpose` of `seed`. Two purposes give independent numbers.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut inner = ChaCha8Rng::seed_from_u64(seed);
        inner.set_stream(fnv1a(purpose.bytes()));
        Self(inner)
    }

    /// The `index`-th stream of a family, for work done in numbered chunks that must not depend on their order.
    pub fn numbered(seed: u64, purpose: &str, index: u64) -> Self {
        let mut inner = ChaCha8Rng::seed_from_u64(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        inner.set_stream(fnv1a(purpose.bytes()));
        Self(inner)
    }

    /// A uniform number in [0, 1) with 24 random bits: exactly representable in f32, never 1.
    pub fn coin(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// `count` coins.
    pub fn coins(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.coin()).collect()
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A uniform index below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "below: the bound must be positive");
        (self.uniform() * bound as f64) as usize
    }

    /// A standard normal number (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// An index drawn with probability proportional to its weight. Weights are non-negative and not all 0.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().sum();
        let mut rest = self.uniform() * total;
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                last = index;
                if rest < weight {
                    return index;
                }
            }
            rest -= weight;
        }
        last
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_purpose_name_a_stream() {
        assert_eq!(Generator::new(7, "coins").coins(9), Generator::new(7, "coins").coins(9));
        assert_ne!(Generator::new(7, "coins").coins(9), Generator::new(7, "pairs").coins(9));
        assert_ne!(Generator::new(7, "coins").coins(9), Generator::new(8, "coins").coins(9));
        assert_ne!(Generator::numbered(7, "coins", 1).coins(9), Generator::numbered(7, "coins", 2).coins(9));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut generator = Generator::new(1, "normal");
        let draws: Vec<f64> = (0..20_000).map(|_| generator.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.04, "variance {variance}");
    }

    #[test]
    fn weighted_draws_follow_their_weights_and_never_pick_a_zero() {
        let mut generator = Generator::new(2, "weighted");
        let mut counts = [0usize; 3];
        for _ in 0..10_000 {
            counts[generator.weighted([1.0, 0.0, 3.0].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((counts[2] as f64 / 10_000.0 - 0.75).abs() < 0.02, "{counts:?}");
    }
}
