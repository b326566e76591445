//! PPO with the reward model's score, and PPO-GT with the gold reward: rounds in pieces short enough for a page.

use std::collections::VecDeque;

use super::LivePolicy;
use crate::engine::protocol::{Inside, Round as ToldRound, Stage};
use crate::engine::session::live::{LiveRun, Slice, SliceEnd, SliceFuture, SliceOrder, Told};
use crate::engine::session::models::{Models, TOLD};
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::algorithms::{Ppo, PpoSettings, PpoStart, Reading};
use klimb_align::language::{Learner, Schedule};
use klimb_lab::{PpoRunSettings, Round, Rounds};
use klimb_metrics::{Method, MetricRow};
use klimb_network::backend::{BackendError, Kernels};
use klimb_world::{MAX_SEQUENCE, World};

/// Episodes drawn at a time.
const PIECE: usize = 64;

/// A policy in PPO with the round it is in.
pub(super) struct PpoRun<K: Kernels> {
    stage: Stage,
    ppo: Ppo<K>,
    rounds: Rounds,
    /// The round that is being learned from, with the minibatches still to come.
    learning: Option<(Round, VecDeque<Vec<usize>>)>,
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
        beta: settings.beta,
        target_kl: (settings.target_kl > 0.0).then_some(settings.target_kl),
        schedule: Schedule { peak, floor: peak, warm_up: 0, steps: 0 },
        ..PpoSettings::default()
    }
}

/// Optimiser steps of a round.
pub(super) fn steps_per_rollout(settings: &Settings) -> usize {
    ppo_settings(settings).steps_per_rollout() as usize
}

impl<K: Kernels> PpoRun<K> {
    /// A run from the reference.
    ///
    /// # Panics
    /// If the method needs a reward model and none is trained: without one PPO would be PPO-GT.
    pub fn new(k: &mut K, models: &Models<K>, method: Method) -> Self {
        let trained = models.trained_reward_model().filter(|_| method.info().needs_reward_model);
        let reward_model = trained.map(|(trained, _)| trained.parameters.as_slice());
        assert_eq!(method.info().needs_reward_model, reward_model.is_some(), "PPO begins without a reward model");
        let stage = Stage::of(method).expect("PPO is a stage");
        let reference = models.sft.parameters.as_slice();
        let start = PpoStart { reference, value_trunk: reward_model.unwrap_or(reference), reward_model };
        let settings = ppo_settings(&models.settings);
        let ppo = Ppo::new(k, *models.network.config(), start, MAX_SEQUENCE, settings);
        let temperature = models.settings.label_temperature;
        let run = PpoRunSettings { ppo: settings, temperature, ..PpoRunSettings::default() };
        let rounds = Rounds::new(u64::from(models.settings.seed), &run);
        Self { stage, ppo, rounds, learning: None }
    }

    /// A piece of a round: some of its episodes, or some of its updates.
    async fn take_slice(
        &mut self,
        k: &mut K,
        models: &mut Models<K>,
        order: SliceOrder,
    ) -> Result<Slice, BackendError> {
        // What can be set in the midst of a run is taken over here, as it is now.
        let PpoSettings { beta, target_kl, schedule, .. } = ppo_settings(&models.settings);
        self.ppo.configure(beta, target_kl, schedule);
        let Some((round, minibatches)) = &mut self.learning else {
            if let Some(round) = self.rounds.advance(k, &models.world, &mut self.ppo, PIECE).await? {
                let minibatches = self.rounds.minibatches(&self.ppo).into();
                self.learning = Some((round, minibatches));
            }
            return Ok(Slice::part(vec![Told::Metrics(Vec::new())]));
        };
        let ppo = &mut self.ppo;
        let is_fresh = minibatches.len() as u64 == ppo.settings().steps_per_rollout();
        for _ in 0..order.most_steps {
            let Some(indices) = minibatches.pop_front() else { break };
            ppo.step(k, &round.rollout, &indices, &[]);
            k.finished().await?;
        }
        let mut rows: Vec<MetricRow> = ppo.metrics(k).await?.iter().map(|metrics| metrics.row()).collect();
        if let (true, Some(first)) = (is_fresh, rows.first_mut()) {
            reports::add_rollout(first, round);
        }
        let timed_steps = rows.len();
        if !minibatches.is_empty() {
            return Ok(Slice { timed_steps, ..Slice::part(vec![Told::Metrics(rows)]) });
        }
        let ratios = ppo.ratios(k).await?;
        if let Some(last) = rows.last_mut() {
            reports::add_ratios(last, &ratios);
        }
        let ended = self.learning.take().filter(|_| order.tells_inside);
        let mut told = vec![Told::Metrics(rows)];
        // Behind the metrics: it is what the whole rollout came to.
        told.extend(ended.map(|(round, _)| Told::Inside(Inside::Ppo(self.told(&models.world, &round, &ratios)))));
        let is_due = (self.rounds.done() as usize).is_multiple_of(models.settings.evaluate_rollouts);
        Ok(Slice { told, timed_steps, end: SliceEnd::Whole { is_due }, is_over: false })
    }

    /// A round that has ended, in numbers: `ratios` are those of its last minibatch.
    fn told(&self, world: &World, round: &Round, ratios: &Ratios) -> ToldRound {
        let settings = self.ppo.settings();
        ToldRound {
            stage: self.stage,
            number: self.rounds.done() as usize,
            step: self.ppo.policy().steps() as usize,
            size: round.rollout.episodes.len(),
            updates: settings.steps_per_rollout() as usize,
            beta: round.rollout.metrics.beta,
            score: round.rollout.metrics.score,
            kl: round.rollout.metrics.kl,
            clip_range: settings.clip_range,
            episodes: reports::episodes(world, settings, round, ratios.iter().take(TOLD)),
        }
    }
}

impl<K: Kernels> LiveRun<K> for PpoRun<K> {
    fn advance<'a>(&'a mut self, k: &'a mut K, models: &'a mut Models<K>, order: SliceOrder) -> SliceFuture<'a> {
        Box::pin(self.take_slice(k, models, order))
    }
}

impl<K: Kernels> LivePolicy<K> for PpoRun<K> {
    fn learner(&self) -> &Learner<K> {
        self.ppo.policy()
    }

    fn read_policy(&self, k: &mut K) -> Reading<Vec<f32>> {
        Box::pin(self.ppo.read_policy(k))
    }

    /// From a new round on.
    fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        self.ppo.resume(k, parameters, steps);
        self.rounds.resume(steps / self.ppo.settings().steps_per_rollout());
    }
}
