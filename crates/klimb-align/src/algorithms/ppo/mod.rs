//! Proximal policy optimisation with a KL penalty for RLHF (Schulman et al. 2017; Ziegler et al. 2019; Ouyang et al.
//! 2022): the policy writes, a score judges what it wrote, and every token pays for leaving the reference.
//!
//! A round is [`Ppo::rollout`] (one submit, one readback), scores by whoever judges, [`Ppo::judge`] (on the host), and
//! [`Ppo::step`] on each minibatch of [`Ppo::minibatches`] (one submit each, no readback).
//!
//! More than 400 lines, because a round is read from its rollout to its last step in one place.

mod metrics;
mod rollout;
mod settings;

use std::future::Future;
use std::ops::Range;

pub use metrics::PpoMetrics;
pub use rollout::{Rollout, RolloutMetrics, ScoredEpisode};
pub use settings::{PpoSettings, ValueNetwork};

use crate::language::{
    Episode, GenerationSettings, Learner, RolloutNetworks, RolloutRecorder, Schedule, Sequence, TokenBatch, upload,
};
use klimb_network::backend::network::Network;
use klimb_network::backend::{At, AtMut, BackendError, Kernels, PpoSize, SequenceSize, kernels};
use klimb_network::model::{Layout, ModelConfig, with_zero_head};
use klimb_network::objectives::{PPO_VALUE_COLUMNS, adapted_beta};
use klimb_numerics::real::Real;
use klimb_numerics::rng::Generator;
use metrics::Columns;

/// The parameters a run starts from, flat, all of the same sizes.
#[derive(Debug, Clone, Copy)]
pub struct PpoStart<'a> {
    /// The reference, where the policy begins; without a head.
    pub reference: &'a [f32],
    /// Whose trunk the value model begins with: the reward model's, or the reference's; a head is ignored. Unused where
    /// value and policy share a trunk.
    pub value_trunk: &'a [f32],
    /// A reward model with its head, whose scores are recorded with each rollout, if one judges.
    pub reward_model: Option<&'a [f32]>,
}

/// An episode of a minibatch.
#[derive(Debug, Clone)]
struct MinibatchEpisode {
    /// Its number among the rollout's.
    index: usize,
    /// Where its tokens are in the minibatch.
    tokens: Range<usize>,
}

/// A policy in PPO.
pub struct Ppo<K: Kernels> {
    settings: PpoSettings,
    columns: Columns,
    length: usize,
    policy: Learner<K>,
    value_model: Option<Learner<K>>,
    reference: K::Floats,
    reward_model: Option<K::Floats>,
    recorder: RolloutRecorder<K>,
    beta: f64,
    /// The episodes of the last minibatch.
    last_minibatch: Vec<MinibatchEpisode>,
    /// What each of its tokens weighed.
    last_share: f64,
}

impl<K: Kernels> Ppo<K> {
    /// Starts from the reference; sequences have at most `length` tokens, and so must the context.
    ///
    /// # Panics
    /// If the start's parameters are not of these sizes, or the settings are not valid.
    pub fn new(k: &mut K, config: ModelConfig, start: PpoStart, length: usize, settings: PpoSettings) -> Self {
        assert!(settings.validated().is_ok(), "Ppo: settings that were not validated");
        let (columns, episodes) = (Columns::new(&settings), settings.minibatch());
        let demonstrations = if settings.ptx_coefficient > 0.0 { episodes } else { 0 };
        let tokens = episodes * (length - 1);
        let size = SequenceSize { batch: demonstrations + episodes, length: length - 1 };
        let value_size = SequenceSize { batch: episodes, length: length - 1 };
        let (network, headed) = (Network::new(config), Network::with_head(config));
        let (policy, value_model) = match settings.value_network {
            ValueNetwork::Own => {
                let trunk = with_zero_head(&config, start.value_trunk);
                let (extra, adamw) = (2 * tokens, settings.adamw);
                let value_model = Learner::new(k, headed, &trunk, value_size, extra, PPO_VALUE_COLUMNS, adamw);
                (Learner::new(k, network, start.reference, size, extra, columns.count, adamw), Some(value_model))
            }
            ValueNetwork::Shared => {
                let parameters = with_zero_head(&config, start.reference);
                (Learner::new(k, headed, &parameters, size, 4 * tokens, columns.count, settings.adamw), None)
            }
        };
        Self {
            columns,
            length,
            policy,
            value_model,
            reference: upload(k, start.reference),
            reward_model: start.reward_model.map(|parameters| upload(k, parameters)),
            recorder: RolloutRecorder::new(k, config, settings.episodes, length),
            beta: settings.beta,
            last_minibatch: Vec::new(),
            last_share: 0.0,
            settings,
        }
    }

    /// The policy and its optimiser; its parameters end in a head where the value shares the trunk.
    pub fn policy(&self) -> &Learner<K> {
        &self.policy
    }

    /// The value model and its optimiser, if it is a network of its own.
    pub fn value_model(&self) -> Option<&Learner<K>> {
        self.value_model.as_ref()
    }

    /// The reference's parameters.
    pub fn reference(&self) -> &K::Floats {
        &self.reference
    }

    /// The settings.
    pub fn settings(&self) -> &PpoSettings {
        &self.settings
    }

    /// Changes what can change in mid-run: learning rate from the next step on, β and its controller from the next
    /// rollout on. With a target, β stays where the controller has it unless another is given
    /// than at the last call.
    ///
    /// # Panics
    /// If the settings are then not valid.
    pub fn configure(&mut self, beta: f64, target_kl: Option<f64>, schedule: Schedule) {
        if target_kl.is_none() || beta != self.settings.beta {
            self.beta = beta;
        }
        self.settings = PpoSettings { beta, target_kl, schedule, ..self.settings };
        assert!(self.settings.validated().is_ok(), "Ppo: settings that were not validated");
    }

    /// Goes on from the policy of another run after its `steps` steps, with new moments and, where it is a network of
    /// its own, a new value model. No step may have been taken.
    ///
    /// # Panics
    /// If policy and value share a trunk: a policy without a head cannot be gone on from.
    pub fn resume(&mut self, k: &mut K, parameters: &[f32], steps: u64) {
        assert!(self.value_model.is_some(), "Ppo::resume: a policy that shares its trunk with the values");
        self.policy.resume(k, parameters, steps);
    }

    /// β of the next rollout.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// The policy as a language model, without a head, after everything recorded so far.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn read_policy(&self, k: &mut K) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<K> {
        let len = Layout::new(self.policy.network().config()).len;
        let read = self.policy.read_parameters(k);
        async move {
            let mut parameters = read.await?;
            parameters.truncate(len);
            Ok(parameters)
        }
    }

    /// Coins a rollout takes.
    pub fn coins(&self) -> usize {
        self.recorder.coins()
    }

    /// Lets the policy complete the prompts and records the episodes. One submit, one readback. A rollout of
    /// `settings.episodes` may be drawn in pieces, as long as no step comes between.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    ///
    /// # Panics
    /// If there are more than `settings.episodes` prompts, or not as many coins for each as [`Ppo::coins`] has.
    pub async fn rollout(
        &mut self,
        k: &mut K,
        prompts: &[&[u32]],
        coins: &[f32],
        settings: GenerationSettings,
    ) -> Result<Vec<Episode>, BackendError> {
        assert!(prompts.len() <= self.settings.episodes, "Ppo::rollout: {} prompts", prompts.len());
        let networks = RolloutNetworks {
            policy: &self.policy.parameters,
            reference: &self.reference,
            value_model: self.value_model.as_ref().map(|learner| &learner.parameters),
            reward_model: self.reward_model.as_ref(),
        };
        self.recorder.rollout(k, networks, prompts, coins, settings).await
    }

    /// Turns episodes and their scores into what the steps learn from, and lets the controller look at their KL: the
    /// next rollout may have another β.
    ///
    /// # Panics
    /// If there are not as many scores as episodes.
    pub fn judge(&mut self, episodes: Vec<Episode>, scores: &[f64]) -> Rollout {
        let rollout = Rollout::new(&self.settings, self.beta, self.policy.steps(), episodes, scores);
        if let Some(target_kl) = self.settings.target_kl {
            let (count, horizon) = (rollout.episodes.len(), self.settings.kl_horizon);
            let next = adapted_beta(self.beta, rollout.metrics.kl, target_kl, count, horizon);
            self.beta = next;
        }
        rollout
    }

    /// The episodes of each step of a rollout, by number: every epoch shuffles them all and deals them out.
    pub fn minibatches(&self, generator: &mut Generator) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.settings.episodes).collect();
        let mut epoch = || {
            generator.shuffle(&mut order);
            order.chunks_exact(self.settings.minibatch()).map(<[usize]>::to_vec).collect::<Vec<_>>()
        };
        (0..self.settings.epochs).flat_map(|_| epoch()).collect()
    }

    /// One update of policy and value model on a minibatch: the episodes of `rollout` with the numbers `indices`, and
    /// with PPO-ptx as many demonstrations (else none). One submit, no readback.
    ///
    /// # Panics
    /// If there are not exactly [`PpoSettings::minibatch`] episodes, or demonstrations.
    pub fn step(&mut self, k: &mut K, rollout: &Rollout, indices: &[usize], demonstrations: &[Sequence]) {
        let episodes: Vec<&ScoredEpisode> = indices.iter().map(|&index| &rollout.episodes[index]).collect();
        let rows = episodes.len() * (self.length - 1);
        self.load(k, &episodes, demonstrations);
        match &mut self.value_model {
            Some(learner) => {
                self.policy.logprobs(k);
                learner.values(k);
            }
            None => self.policy.logprobs_and_values(k),
        }
        self.policy_loss(k, rows);
        self.value_loss(k, rows);
        if let Some(learner) = &mut self.value_model {
            learner.update(k, rows);
        }
        self.policy.update(k, rows);
        k.submit();

        let episode = |(row, (&index, scored)): (usize, (&usize, &&ScoredEpisode))| {
            let first = row * (self.length - 1) + scored.episode.sequence.prompt_length - 1;
            MinibatchEpisode { index, tokens: first..first + scored.advantages.len() }
        };
        self.last_minibatch = indices.iter().zip(&episodes).enumerate().map(episode).collect();
    }

    /// Sends the minibatch to every learner: everything goes up before anything is recorded, for a write ends what was
    /// recorded, and a step is to be one submit.
    fn load(&mut self, k: &mut K, episodes: &[&ScoredEpisode], demonstrations: &[Sequence]) {
        let (settings, length) = (self.settings, self.length - 1);
        let tokens = TokenBatch::new(length, episodes.iter().map(|scored| &scored.episode.sequence));
        let share = 1.0 / tokens.completion_tokens().max(1.0);
        self.last_share = f64::from(share);
        let weights: Vec<f32> = tokens.completion_mask.iter().map(|counts| counts * share).collect();
        let drawn = [
            laid_out(length, episodes, |scored| &scored.episode.logprobs),
            laid_out(length, episodes, |scored| &scored.advantages),
        ];
        let valued = [
            laid_out(length, episodes, |scored| &scored.episode.values),
            laid_out(length, episodes, |scored| &scored.returns),
        ];
        let learning_rate = settings.schedule.at(self.policy.steps());
        let extra = if let Some(learner) = &mut self.value_model {
            learner.load(k, &tokens, &weights, learning_rate, &valued.concat());
            drawn.concat()
        } else {
            [drawn, valued].concat().concat()
        };
        let (tokens, weights) = demonstrated(length, demonstrations, tokens, weights, settings.ptx_coefficient);
        self.policy.load(k, &tokens, &weights, learning_rate, &extra);
    }

    /// max(−Â·ρ, −Â·clip(ρ)) of the episodes' `rows` tokens, behind −γ·log π of the demonstrations' tokens, if any.
    fn policy_loss(&mut self, k: &mut K, rows: usize) {
        let policy = &mut self.policy;
        let stride = policy.size().batch * policy.size().length;
        let (first, mask) = (stride - rows, policy.mask_offset());
        if first > 0 {
            let weights = At::new(&policy.floats, mask);
            kernels::Sft {
                rows: first,
                logprobs: &policy.numbers,
                weights,
                dlogprobs: &mut policy.dnumbers,
                statistics: &mut policy.statistics,
            }
            .run(k);
        }
        let size = PpoSize { rows, first, stride };
        let recorded = At::new(&policy.floats, policy.extra_offset());
        let weights = At::new(&policy.floats, mask + first);
        let statistics = AtMut::new(&mut policy.statistics, self.columns.policy * rows);
        kernels::PpoPolicy {
            size,
            clip_range: self.settings.clip_range,
            entropy_coefficient: self.settings.entropy_coefficient,
            numbers: &policy.numbers,
            weights,
            rollout: recorded,
            dnumbers: &mut policy.dnumbers,
            statistics,
        }
        .run(k);
    }

    /// max((V − R)², (V_clip − R)²) of the episodes' `rows` tokens, in the learner that has their values.
    fn value_loss(&mut self, k: &mut K, rows: usize) {
        let column = self.columns.value * rows;
        // On the policy, what the policy loss is told comes first.
        let (learner, recorded) = match &mut self.value_model {
            Some(learner) => (learner, 0),
            None => (&mut self.policy, 2 * rows),
        };
        let stride = learner.size().batch * learner.size().length;
        let size = PpoSize { rows, first: stride - rows, stride };
        let weights = At::new(&learner.floats, learner.mask_offset() + size.first);
        let recorded = At::new(&learner.floats, learner.extra_offset() + recorded);
        let statistics = AtMut::new(&mut learner.statistics, column);
        kernels::PpoValue {
            size,
            clip_range: self.settings.value_clip_range.unwrap_or(f64::from(f32::MAX)),
            value_coefficient: self.settings.value_coefficient,
            values: &learner.values,
            weights,
            rollout: recorded,
            dvalues: &mut learner.dvalues,
            statistics,
        }
        .run(k);
    }

    /// The metrics of the steps since the last call (see [`Learner::read_metrics`]).
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn metrics(
        &mut self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<PpoMetrics>, BackendError>> + 'static + use<K> {
        let settings = self.settings;
        let policy = self.policy.read_metrics(k);
        let value = self.value_model.as_mut().map(|learner| learner.read_metrics(k));
        async move {
            let policy = policy.await?.lines;
            let value = match value {
                Some(read) => read.await?.lines,
                None => policy.clone(),
            };
            Ok(policy.iter().zip(&value).map(|(policy, value)| PpoMetrics::new(&settings, policy, value)).collect())
        }
    }

    /// π/π_old of every token of the last minibatch, before its update: each episode's number and its ratios. Where
    /// they are after an epoch shows how far the policy has gone; after a rollout's last minibatch their smallest and
    /// largest are `ppo/ratio_min` and `ppo/ratio_max`. Empty before the first step.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub fn ratios(
        &self,
        k: &mut K,
    ) -> impl Future<Output = Result<Vec<(usize, Vec<f64>)>, BackendError>> + 'static + use<K> {
        const RATIO: usize = 5;
        let rows = self.settings.minibatch() * (self.length - 1);
        let first = (self.columns.policy + RATIO) * rows;
        let read = k.read_floats(&self.policy.statistics, first..first + rows);
        let (minibatch, weight) = (self.last_minibatch.clone(), self.last_share);
        async move {
            let weighted = read.await?;
            let of = |tokens: Range<usize>| weighted[tokens].iter().map(|x| x.to_f64() / weight).collect();
            Ok(minibatch.into_iter().map(|MinibatchEpisode { index, tokens }| (index, of(tokens))).collect())
        }
    }
}

/// Numbers of each episode's tokens where the token batch has them, (B, T); 0 elsewhere.
fn laid_out(length: usize, episodes: &[&ScoredEpisode], of: impl Fn(&ScoredEpisode) -> &Vec<f64>) -> Vec<f32> {
    let mut numbers = vec![0.0; episodes.len() * length];
    for (row, scored) in numbers.chunks_exact_mut(length).zip(episodes) {
        let first = scored.episode.sequence.prompt_length - 1;
        row[first..].iter_mut().zip(of(scored)).for_each(|(number, value)| *number = *value as f32);
    }
    numbers
}

/// The minibatch with demonstrations in front, and the weights of both: γ shared out over the demonstrations' tokens.
fn demonstrated(
    length: usize,
    demonstrations: &[Sequence],
    episodes: TokenBatch,
    weights: Vec<f32>,
    ptx_coefficient: f64,
) -> (TokenBatch, Vec<f32>) {
    if demonstrations.is_empty() {
        return (episodes, weights);
    }
    let mut batch = TokenBatch::new(length, demonstrations);
    let share = ptx_coefficient as f32 / batch.completion_tokens().max(1.0);
    let weights = batch.completion_mask.iter().map(|counts| counts * share).chain(weights).collect();
    batch.size.batch += episodes.size.batch;
    batch.inputs.extend(episodes.inputs);
    batch.targets.extend(episodes.targets);
    batch.completion_mask.extend(episodes.completion_mask);
    (batch, weights)
}
