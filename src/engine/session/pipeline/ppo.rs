//! PPO with the reward model's score, and PPO-GT with the gold reward: rounds in pieces short enough for a page.

use std::collections::VecDeque;

use super::{Pipeline, Policy, TOLD};
use crate::engine::protocol::Round as ToldRound;
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::algorithms::{Ppo, PpoSettings, PpoStart};
use klimb_align::language::Schedule;
use klimb_lab::{PpoRunSettings, Round, Rounds};
use klimb_metrics::MetricRow;
use klimb_network::backend::{BackendError, Kernels};
use klimb_world::MAX_SEQUENCE;

/// Episodes drawn at a time.
const PIECE: usize = 64;

/// A policy in PPO with the round it is in.
pub(super) struct LivePpo<K: Kernels> {
    pub(super) ppo: Ppo<K>,
    rounds: Rounds,
    /// The round that is being learned from, with the minibatches still to come.
    learning: Option<(Round, VecDeque<Vec<usize>>)>,
    /// The last round, and the ratios of its last minibatch by episode.
    learned: Option<(Round, Ratios)>,
}

/// π/π_old of every token, by episode's number.
type Ratios = Vec<(usize, Vec<f64>)>;

fn ppo_settings(settings: &Settings) -> PpoSettings {
    let peak = settings.ppo_learning_rate;
    PpoSettings {
        episodes: settings.rollout_size,
        epochs: settings.ppo_epochs,
        missing_eos_penalty: settings.missing_eos_penalty,
        value_coefficient: settings.vf_coef,
        kl_coefficient: settings.beta,
        target_kl: (settings.target_kl > 0.0).then_some(settings.target_kl),
        schedule: Schedule { peak, floor: peak, warm_up: 0, steps: 0 },
        ..PpoSettings::default()
    }
}

impl<K: Kernels> Pipeline<K> {
    pub(super) fn configure_ppo(&mut self) {
        let PpoSettings { kl_coefficient, target_kl, schedule, .. } = ppo_settings(&self.settings);
        for live in [&mut self.ppo, &mut self.ppo_gt].into_iter().flatten() {
            live.ppo.configure(kl_coefficient, target_kl, schedule);
        }
    }

    fn live(&mut self, policy: Policy) -> &mut Option<LivePpo<K>> {
        if policy == Policy::PpoGt { &mut self.ppo_gt } else { &mut self.ppo }
    }

    /// Begins from the reference, unless it has begun. PPO without a reward model would be PPO-GT.
    pub(super) fn begin_ppo(&mut self, k: &mut K, policy: Policy) {
        if self.live(policy).is_some() {
            return;
        }
        let trained = self.reward_model.trained.as_ref().filter(|_| policy != Policy::PpoGt);
        let reward_model = trained.map(|(trained, _)| trained.parameters.as_slice());
        assert!(policy == Policy::PpoGt || reward_model.is_some(), "PPO begins without a reward model");
        let reference = self.sft.parameters.as_slice();
        let start = PpoStart { reference, value_trunk: reward_model.unwrap_or(reference), reward_model };
        let settings = ppo_settings(&self.settings);
        let ppo = Ppo::new(k, *self.network.config(), start, MAX_SEQUENCE, settings);
        let temperature = self.settings.label_temperature;
        let run = PpoRunSettings { ppo: settings, temperature, ..PpoRunSettings::default() };
        let rounds = Rounds::new(u64::from(self.settings.seed), &run);
        *self.live(policy) = Some(LivePpo { ppo, rounds, learning: None, learned: None });
    }

    /// Goes on with a policy that another session trained on the same reference, from a new round on.
    pub(super) fn resume_ppo(&mut self, k: &mut K, policy: Policy, parameters: &[f32], steps: u64) {
        self.begin_ppo(k, policy);
        if let Some(live) = self.live(policy) {
            live.ppo.resume(k, parameters, steps);
            live.rounds.resume(steps / live.ppo.settings().steps_per_rollout());
        }
    }

    /// A piece of a round: some of its episodes, or at most `steps` of its updates. Answers with their rows and whether
    /// the round is over.
    pub async fn train_ppo(
        &mut self,
        k: &mut K,
        policy: Policy,
        steps: usize,
    ) -> Result<(Vec<MetricRow>, bool), BackendError> {
        self.begin_ppo(k, policy);
        let live = if policy == Policy::PpoGt { &mut self.ppo_gt } else { &mut self.ppo };
        let Some(LivePpo { ppo, rounds, learning, learned }) = live else { return Ok((Vec::new(), false)) };
        let Some((round, minibatches)) = learning else {
            if let Some(round) = rounds.advance(k, &self.world, ppo, PIECE).await? {
                let minibatches = rounds.minibatches(ppo).into();
                *learning = Some((round, minibatches));
            }
            return Ok((Vec::new(), false));
        };
        let is_fresh = minibatches.len() as u64 == ppo.settings().steps_per_rollout();
        for _ in 0..steps {
            let Some(indices) = minibatches.pop_front() else { break };
            ppo.step(k, &round.rollout, &indices, &[]);
            k.finished().await?;
        }
        let mut rows: Vec<MetricRow> = ppo.metrics(k).await?.iter().map(|metrics| metrics.row()).collect();
        if let (true, Some(first)) = (is_fresh, rows.first_mut()) {
            reports::add_rollout(first, round);
        }
        if !minibatches.is_empty() {
            return Ok((rows, false));
        }
        let ratios = ppo.ratios(k).await?;
        if let Some(last) = rows.last_mut() {
            reports::add_ratios(last, &ratios);
        }
        *learned = learning.take().map(|(round, _)| (round, ratios));
        Ok((rows, true))
    }

    /// Optimiser steps of a round.
    pub fn steps_per_rollout(&self) -> usize {
        ppo_settings(&self.settings).steps_per_rollout() as usize
    }

    /// Rounds that are over.
    pub fn ppo_rounds(&self, policy: Policy) -> usize {
        let live = if policy == Policy::PpoGt { &self.ppo_gt } else { &self.ppo };
        live.as_ref().map_or(0, |live| live.rounds.done() as usize - usize::from(live.learning.is_some()))
    }

    /// The round that ended last, in numbers.
    pub fn told_round(&self, policy: Policy) -> Option<ToldRound> {
        let live = if policy == Policy::PpoGt { self.ppo_gt.as_ref() } else { self.ppo.as_ref() }?;
        let (round, ratios) = live.learned.as_ref()?;
        let episodes = reports::episodes(&self.world, live.ppo.settings(), round, ratios.iter().take(TOLD));
        let PpoSettings { clip_range, .. } = *live.ppo.settings();
        Some(ToldRound {
            stage: policy.stage(),
            number: live.rounds.done() as usize,
            step: live.ppo.policy().steps() as usize,
            size: round.rollout.episodes.len(),
            updates: live.ppo.settings().steps_per_rollout() as usize,
            kl_coefficient: round.rollout.metrics.kl_coefficient,
            score: round.rollout.metrics.score,
            kl: round.rollout.metrics.kl,
            clip_range,
            episodes,
        })
    }
}
