//! Best-of-N: draw N completions, keep the one with the highest score. No training, N times the work at every use.
//!
//! The policy it amounts to is known in closed form. With F the distribution function of the scores of the reference's
//! completions of a prompt, and F(s⁻) what lies strictly below s,
//!
//! π_N(y|x) = π_ref(y|x)·(F(s)^N − F(s⁻)^N)/(F(s) − F(s⁻)), s the score of y,
//!
//! since the best of N scores s if all N are at most s and not all are below it, and among equals chance decides. Its KL
//! is at most log N − (N − 1)/N, which is exact only if no two completions ever score alike (Beirami et al. 2024); in a
//! world of words they do.

/// The analytic bound on KL(π_N‖π_ref) in nats: log N − (N − 1)/N.
pub fn best_of_n_bound(n: usize) -> f64 {
    let n = n as f64;
    n.ln() - (n - 1.0) / n
}

/// The first of the highest `scores`: the completion that is kept.
///
/// # Panics
/// If there is no score.
pub fn best_of(scores: &[f64]) -> usize {
    assert!(!scores.is_empty(), "best_of: no score");
    (1..scores.len()).fold(0, |best, index| if scores[index] > scores[best] { index } else { best })
}

/// How the reference's completions of one prompt score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreDistribution {
    sorted: Vec<f64>,
}

impl ScoreDistribution {
    /// The empirical distribution of `scores`.
    ///
    /// # Panics
    /// If there is no score.
    pub fn new(scores: &[f64]) -> Self {
        assert!(!scores.is_empty(), "ScoreDistribution: no score");
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// log π_N(y|x) − log π_ref(y|x) of a completion with this score, in nats. Its mean over Best-of-N's draws is the KL.
    ///
    /// # Panics
    /// If no completion of the distribution has that score.
    pub fn log_ratio(&self, score: f64, n: usize) -> f64 {
        let below = self.sorted.partition_point(|&other| other < score);
        let up_to = self.sorted.partition_point(|&other| other <= score);
        assert!(below < up_to, "log_ratio: no completion scores {score}");
        self.log_mass(below, up_to, n) - ((up_to - below) as f64 / self.sorted.len() as f64).ln()
    }

    /// KL(π_N‖π_ref) in nats, exact for this distribution: the mean of [`ScoreDistribution::log_ratio`] over every draw
    /// there could be.
    pub fn kl(&self, n: usize) -> f64 {
        self.expectation(n, |score| self.log_ratio(score, n))
    }

    /// Mean score of the best of N, exact for this distribution.
    pub fn mean(&self, n: usize) -> f64 {
        self.expectation(n, |score| score)
    }

    /// Σ_s p_N(s)·f(s) over the distinct scores.
    fn expectation(&self, n: usize, f: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut below) = (0.0, 0);
        for equal in self.sorted.chunk_by(|a, b| a == b) {
            let up_to = below + equal.len();
            sum += self.log_mass(below, up_to, n).exp() * f(equal[0]);
            below = up_to;
        }
        sum
    }

    /// log(F^N − F⁻^N), with F and F⁻ given as counts; taken apart so that no small power is lost.
    fn log_mass(&self, below: usize, up_to: usize, n: usize) -> f64 {
        let share = up_to as f64 / self.sorted.len() as f64;
        let rest = (below as f64 / up_to as f64).powf(n as f64);
        n as f64 * share.ln() + (-rest).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_numerics::rng::Generator;

    const COUNTS: [usize; 8] = [1, 2, 3, 4, 16, 64, 128, 1000];

    /// Scores of three kinds: all distinct, mostly ties, one value.
    fn distributions() -> [ScoreDistribution; 3] {
        let generator = &mut Generator::new(3, "scores");
        let distinct: Vec<f64> = (0..4096).map(|_| generator.uniform()).collect();
        let tied: Vec<f64> = (0..4096).map(|_| generator.below(7) as f64 / 6.0).collect();
        [&distinct[..], &tied, &[0.5; 9]].map(ScoreDistribution::new)
    }

    #[test]
    fn one_draw_is_the_reference() {
        for distribution in distributions() {
            assert!(distribution.kl(1).abs() < 1e-12, "{}", distribution.kl(1));
            let mean = distribution.sorted.iter().sum::<f64>() / distribution.sorted.len() as f64;
            assert!((distribution.mean(1) - mean).abs() < 1e-9);
        }
        assert_eq!(best_of_n_bound(1), 0.0);
    }

    #[test]
    fn more_draws_cost_more_kl_and_earn_more_within_the_bound() {
        for distribution in distributions() {
            for pair in COUNTS.windows(2) {
                let (fewer, more) = (pair[0], pair[1]);
                assert!(distribution.kl(more) >= distribution.kl(fewer) - 1e-12, "N = {more}");
                assert!(distribution.mean(more) >= distribution.mean(fewer) - 1e-12, "N = {more}");
                assert!(distribution.kl(more) <= best_of_n_bound(more) + 1e-9, "N = {more}: {}", distribution.kl(more));
            }
        }
    }

    #[test]
    fn without_ties_the_bound_is_nearly_reached_and_among_equals_there_is_nothing_to_gain() {
        let [distinct, tied, equal] = distributions();
        for n in [2, 16, 64] {
            assert!(best_of_n_bound(n) - distinct.kl(n) < 0.01, "N = {n}: {}", distinct.kl(n));
            assert!(best_of_n_bound(n) - tied.kl(n) > 0.005, "N = {n}: {}", tied.kl(n));
            assert!(equal.kl(n).abs() < 1e-12);
        }
    }

    /// One completion in four is good: the best of N is good unless all N are bad.
    #[test]
    fn two_scores_have_their_known_kl() {
        let distribution = ScoreDistribution::new(&[0.0, 0.0, 1.0, 0.0]);
        for n in [1, 2, 5, 40] {
            let good = 1.0 - 0.75f64.powi(n as i32);
            let kl = good * (good / 0.25).ln() + (1.0 - good) * ((1.0 - good) / 0.75).ln();
            assert!((distribution.mean(n) - good).abs() < 1e-12, "N = {n}");
            assert!((distribution.kl(n) - kl).abs() < 1e-12, "N = {n}: {} instead of {kl}", distribution.kl(n));
        }
        assert!((distribution.log_ratio(1.0, 1000) - 4f64.ln()).abs() < 1e-12);
        assert!((distribution.log_ratio(0.0, 3000) / (3000.0 * 0.75f64.ln()) - 1.0).abs() < 1e-3, "no underflow");
    }

    #[test]
    fn the_best_is_the_first_of_the_highest() {
        assert_eq!(best_of(&[0.2, 0.9, 0.1, 0.9]), 1);
        assert_eq!(best_of(&[0.5]), 0);
    }
}
