//! From recorded episodes and their scores to what PPO learns from: rewards, advantages, returns. On the host, once a
//! rollout.

use super::PpoSettings;
use crate::language::Episode;
use klimb_metrics::MetricRow;
use klimb_network::objectives::{GaeSettings, gae, kl_per_sequence, whiten};
use klimb_numerics::stats::{RunningStats, mean};

/// An episode with its score and what follows from it. Every vector has one number a token of the completion.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredEpisode {
    /// The completion, log-probabilities, values.
    pub episode: Episode,
    /// What the completion earned as a whole, without the price of KL.
    pub score: f64,
    /// −β·(log π − log π_ref), plus the score at the last token (Ziegler et al. 2019, equation 2).
    pub rewards: Vec<f64>,
    /// Generalised advantages, whitened over the rollout.
    pub advantages: Vec<f64>,
    /// The value model's targets: unwhitened advantages plus values.
    pub returns: Vec<f64>,
}

/// What a rollout measured; means over its episodes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolloutMetrics {
    /// Optimiser steps before the rollout.
    pub step: u64,
    /// `objective/kl`: exact KL(π‖π_ref), nats a completion.
    pub kl: f64,
    /// `objective/k1`, `objective/k2`, `objective/k3`: its estimators from the drawn tokens alone.
    pub estimators: [f64; 3],
    /// `objective/score`.
    pub score: f64,
    /// `objective/entropy`: nats a token.
    pub entropy: f64,
    /// `ppo/explained_variance`: 1 − Var(R − V)/Var(R) over tokens.
    pub explained_variance: f64,
    /// `objective/kl_coefficient`: β of this rollout.
    pub beta: f64,
}

/// A rollout ready to be learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The episodes, in the order of their prompts.
    pub episodes: Vec<ScoredEpisode>,
    /// What they measure.
    pub metrics: RolloutMetrics,
}

impl RolloutMetrics {
    /// The rollout by the field's names.
    pub fn row(&self) -> MetricRow {
        let [k1, k2, k3] = self.estimators;
        MetricRow::new(
            self.step,
            &[
                ("objective/kl", self.kl),
                ("objective/k1", k1),
                ("objective/k2", k2),
                ("objective/k3", k3),
                ("objective/score", self.score),
                ("objective/entropy", self.entropy),
                ("objective/kl_coefficient", self.beta),
                ("ppo/explained_variance", self.explained_variance),
            ],
        )
    }
}

impl Rollout {
    /// Rewards, advantages and returns of `episodes` with these `scores`, at this β.
    ///
    /// # Panics
    /// If there are not as many scores as episodes, or no episode.
    pub(super) fn new(settings: &PpoSettings, beta: f64, step: u64, episodes: Vec<Episode>, scores: &[f64]) -> Self {
        assert_eq!(episodes.len(), scores.len(), "Rollout: episodes and scores");
        let mut rewards: Vec<f64> =
            episodes.iter().zip(scores).flat_map(|(episode, &score)| rewards(episode, score, beta)).collect();
        let everything = vec![1.0; rewards.len()];
        if settings.whiten_rewards {
            whiten(&mut rewards, &everything, false);
        }
        let (mut advantages, mut returns) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
        for (episode, tokens) in episodes.iter().zip(spans(&episodes)) {
            let length = tokens.len();
            let settings = GaeSettings { gamma: settings.gamma, gae_lambda: settings.gae_lambda };
            let (advantages, returns) = (&mut advantages[tokens.clone()], &mut returns[tokens.clone()]);
            gae(settings, length, &rewards[tokens], &episode.values, &everything[..length], advantages, returns);
        }
        whiten(&mut advantages, &everything, true);

        let metrics = RolloutMetrics {
            step,
            kl: mean(&episodes.iter().map(|episode| episode.kl_per_token.iter().sum()).collect::<Vec<f64>>()),
            estimators: estimators(&episodes),
            score: mean(scores),
            entropy: mean(&episodes.iter().flat_map(|episode| episode.entropies.iter().copied()).collect::<Vec<f64>>()),
            explained_variance: explained_variance(&episodes, &returns),
            beta,
        };
        let spans: Vec<_> = spans(&episodes).collect();
        let scored = |((episode, tokens), &score): ((Episode, std::ops::Range<usize>), &f64)| ScoredEpisode {
            episode,
            score,
            rewards: rewards[tokens.clone()].to_vec(),
            advantages: advantages[tokens.clone()].to_vec(),
            returns: returns[tokens].to_vec(),
        };
        Self { episodes: episodes.into_iter().zip(spans).zip(scores).map(scored).collect(), metrics }
    }
}

/// Where each episode's tokens lie when all stand in one row.
fn spans(episodes: &[Episode]) -> impl Iterator<Item = std::ops::Range<usize>> {
    episodes.iter().scan(0, |first, episode| {
        let span = *first..*first + episode.logprobs.len();
        *first = span.end;
        Some(span)
    })
}

/// −β·(log π − log π_ref) of each token; the score belongs to the whole completion, which is known at its last.
fn rewards(episode: &Episode, score: f64, beta: f64) -> Vec<f64> {
    let log_ratios = episode.logprobs.iter().zip(&episode.reference_logprobs);
    let mut rewards: Vec<f64> = log_ratios.map(|(policy, reference)| -beta * (policy - reference)).collect();
    *rewards.last_mut().expect("a completion has a token") += score;
    rewards
}

/// Mean k1, k2, k3 of KL(π‖π_ref), nats a completion.
fn estimators(episodes: &[Episode]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for Episode { logprobs, reference_logprobs, .. } in episodes {
        let mut estimates = [0.0; 3];
        kl_per_sequence(logprobs.len(), logprobs, reference_logprobs, &vec![1.0; logprobs.len()], &mut estimates);
        sums.iter_mut().zip(estimates).for_each(|(sum, estimate)| *sum += estimate);
    }
    sums.map(|sum| sum / episodes.len() as f64)
}

fn explained_variance(episodes: &[Episode], returns: &[f64]) -> f64 {
    let values = episodes.iter().flat_map(|episode| &episode.values);
    let errors: RunningStats = values.zip(returns).map(|(value, target)| target - value).collect();
    let targets: RunningStats = returns.iter().copied().collect();
    1.0 - errors.variance() / targets.variance()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Sequence;

    fn episode(logprobs: &[f64], reference_logprobs: &[f64], values: &[f64]) -> Episode {
        let completion: Vec<u32> = (0..logprobs.len() as u32).map(|token| token + 2).collect();
        Episode {
            sequence: Sequence::new(&[9], &completion),
            logprobs: logprobs.to_vec(),
            entropies: vec![0.5; logprobs.len()],
            reference_logprobs: reference_logprobs.to_vec(),
            kl_per_token: vec![0.1; logprobs.len()],
            values: values.to_vec(),
            score: None,
        }
    }

    fn episodes() -> Vec<Episode> {
        vec![
            episode(&[-1.0, -2.0, -0.5], &[-1.5, -1.0, -0.5], &[0.2, -0.1, 0.4]),
            episode(&[-0.3], &[-1.3], &[0.6]),
            episode(&[-2.0, -2.0], &[-2.0, -3.0], &[-0.3, 0.9]),
        ]
    }

    #[test]
    fn the_score_stands_at_the_last_token_and_every_token_pays_for_its_kl() {
        let rollout = Rollout::new(&PpoSettings::default(), 0.5, 7, episodes(), &[3.0, -1.0, 0.0]);
        let rewards: Vec<&[f64]> = rollout.episodes.iter().map(|scored| scored.rewards.as_slice()).collect();
        assert_eq!(rewards, [&[-0.25, 0.5, 3.0][..], &[-1.5], &[0.0, -0.5]]);
        let RolloutMetrics { step, kl, score, beta, estimators, .. } = rollout.metrics;
        assert_eq!((step, beta), (7, 0.5));
        assert!((score - 2.0 / 3.0).abs() < 1e-12 && (kl - 0.2).abs() < 1e-12);
        assert!((estimators[0] - (-0.5 + 1.0 + 1.0) / 3.0).abs() < 1e-12, "{estimators:?}");
    }

    /// With λ = 1 and γ = 1, a return is the sum of the rewards still to come, whatever the values.
    #[test]
    fn returns_are_rewards_to_come_and_advantages_are_whitened() {
        let settings = PpoSettings { gae_lambda: 1.0, ..PpoSettings::default() };
        let rollout = Rollout::new(&settings, 0.5, 0, episodes(), &[3.0, -1.0, 0.0]);
        for (scored, expected) in rollout.episodes.iter().zip([&[3.25, 3.5, 3.0][..], &[-1.5], &[-0.5, -0.5]]) {
            for (found, expected) in scored.returns.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
            }
        }
        let advantages: Vec<f64> = rollout.episodes.iter().flat_map(|scored| scored.advantages.clone()).collect();
        let moments: RunningStats = advantages.iter().copied().collect();
        assert!(moments.mean().abs() < 1e-9 && (moments.variance() * 5.0 / 6.0 - 1.0).abs() < 1e-6, "{moments:?}");
    }

    #[test]
    fn perfect_values_explain_all_variance_and_constant_ones_none() {
        let with_values = |values: &dyn Fn(f64) -> f64| {
            let settings = PpoSettings { gae_lambda: 1.0, ..PpoSettings::default() };
            let mut given = episodes();
            let first = Rollout::new(&settings, 0.5, 0, given.clone(), &[3.0, -1.0, 0.0]);
            for (episode, scored) in given.iter_mut().zip(first.episodes) {
                episode.values = scored.returns.iter().map(|&target| values(target)).collect();
            }
            Rollout::new(&settings, 0.5, 0, given, &[3.0, -1.0, 0.0]).metrics.explained_variance
        };
        assert!((with_values(&|target| target) - 1.0).abs() < 1e-12);
        assert!(with_values(&|_| 4.0).abs() < 1e-12);
        assert!(with_values(&|target| -target) < 0.0);
    }

    #[test]
    fn whitened_rewards_have_variance_1_and_keep_their_mean_s_sign() {
        let settings = PpoSettings { whiten_rewards: true, ..PpoSettings::default() };
        let rewards = |settings: &PpoSettings| -> RunningStats {
            let rollout = Rollout::new(settings, 0.5, 0, episodes(), &[30.0, -10.0, 0.0]);
            rollout.episodes.iter().flat_map(|scored| scored.rewards.clone()).collect()
        };
        let (plain, whitened) = (rewards(&PpoSettings::default()), rewards(&settings));
        let deviation = (plain.variance() * 5.0 / 6.0).sqrt();
        assert!((whitened.variance() * 5.0 / 6.0 - 1.0).abs() < 1e-6 && deviation > 2.0);
        assert!((whitened.mean() - plain.mean() / deviation).abs() < 1e-6);
    }
}
