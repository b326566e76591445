//! The models and data of a session, stage by stage, and the work each stage can do.

mod best_of_n;
mod dpo;
mod likelihood;
mod looking;
mod optimum;
mod ppo;
mod preferences;
mod put_aside;
mod reward_model;
mod sft;

use thiserror::Error;

use crate::engine::protocol::{Checkpoints, Failure, Samples, Stage};
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use best_of_n::LiveBestOfN;
use klimb_align::algorithms::Dpo;
use klimb_align::language::{Generation, GenerationSettings, Scorer, Sequence, TokenComparison, upload};
use klimb_lab::{EvaluationSettings, Evaluator, PreferenceData, RecordedOptimum, RecordedOptimumError};
use klimb_metrics::Method;
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::model::{Checkpoint, CheckpointError, Expectation};
use klimb_numerics::rng::Generator;
use klimb_world::preferences::{Pair, to_jsonl};
use klimb_world::{MAX_SEQUENCE, Vocabulary, World, WorldSettings};
use likelihood::{Likelihoods, LiveLikelihood};
use optimum::Optimum;
use ppo::LivePpo;
use preferences::PreferencesError;
use reward_model::RewardModelRoom;
use sft::LiveSft;

pub use put_aside::PutAside;
pub use reward_model::RewardModelWork;

/// Samples taken at a time for points and for the optimum.
const PIECE: usize = 128;
/// Prompts read side by side.
const READ_PROMPTS: usize = 5;
/// Pairs or episodes told in full after a step.
const TOLD: usize = 4;
/// Sequences that are looked at in one forward pass.
const LOOKED_AT: usize = 32;

/// A shipped file that cannot be used.
#[derive(Debug, Error)]
pub enum AssetError {
    /// A model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The recorded optimum.
    #[error(transparent)]
    Optimum(#[from] RecordedOptimumError),
    /// A person's pairs.
    #[error(transparent)]
    Preferences(#[from] PreferencesError),
}

/// A policy that is trained on the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// By DPO.
    Dpo,
    /// By PPO with the reward model's score.
    Ppo,
    /// By PPO with the gold reward.
    PpoGt,
    /// By unlikelihood.
    Unlikelihood,
    /// By SFT on the chosen.
    PreferredFt,
}

impl Policy {
    pub const ALL: [Self; 5] = [Self::Dpo, Self::Ppo, Self::PpoGt, Self::Unlikelihood, Self::PreferredFt];

    /// The policy of a stage that has one.
    pub fn of(stage: Stage) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.stage() == stage)
    }

    pub fn stage(self) -> Stage {
        match self {
            Self::Dpo => Stage::Dpo,
            Self::Ppo => Stage::Ppo,
            Self::PpoGt => Stage::PpoGt,
            Self::Unlikelihood => Stage::Unlikelihood,
            Self::PreferredFt => Stage::PreferredFt,
        }
    }

    /// How it is made.
    pub fn method(self) -> Method {
        match self {
            Self::Dpo => Method::Dpo,
            Self::Ppo => Method::Ppo,
            Self::PpoGt => Method::PpoGt,
            Self::Unlikelihood => Method::Unlikelihood,
            Self::PreferredFt => Method::PreferredFt,
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The SFT model.
    Reference,
    /// A policy in training.
    Policy(Policy),
}

/// What new settings start over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consequences {
    /// Stages that begin anew.
    pub stages: Vec<Stage>,
    /// Whether the reference is to be measured again.
    pub remeasure: bool,
}

/// Everything a session computes with.
pub struct Pipeline<K: Kernels> {
    pub settings: Settings,
    pub world: World,
    pub network: Network,
    pub base: Checkpoint,
    /// The reference: recorded, loaded, or adopted from live SFT.
    sft: Checkpoint,
    base_parameters: K::Floats,
    reference: K::Floats,
    live_sft: Option<LiveSft<K>>,
    /// Pairs that a person labelled.
    given: Option<Vec<Pair>>,
    pub data: PreferenceData<K>,
    /// DPO's own pairs, where the policy writes them.
    online: Option<PreferenceData<K>>,
    pub dpo: Dpo<K>,
    reward_model: RewardModelRoom<K>,
    ppo: Option<LivePpo<K>>,
    ppo_gt: Option<LivePpo<K>>,
    likelihoods: Likelihoods<K>,
    best_of_n: Option<LiveBestOfN<K>>,
    pub evaluator: Evaluator<K>,
    reader: Generation<K>,
    /// The temperature at which it writes.
    pub reading: f64,
    scorer: Scorer<K>,
    sampler: Generation<K>,
    optimum: Optimum,
}

impl<K: Kernels> Pipeline<K> {
    /// A pipeline from shipped checkpoints.
    pub fn new(k: &mut K, settings: Settings, checkpoints: &Checkpoints) -> Result<Self, AssetError> {
        let noise = settings.breadth.noise();
        let world = World::new(WorldSettings { noise, ..WorldSettings::default() }).expect("the noise is a valid one");
        let vocabulary_fingerprint = world.vocabulary().fingerprint();
        let expected =
            Expectation { config: None, vocabulary_fingerprint: vocabulary_fingerprint.clone(), head: false };
        let base = Checkpoint::from_bytes(&checkpoints.base, Some(&expected))?;
        let expected = Expectation { config: Some(base.config), vocabulary_fingerprint, head: false };
        let sft = Checkpoint::from_bytes(&checkpoints.sft, Some(&expected))?;
        let recorded_optimum = match checkpoints.optimum.as_slice() {
            [] => None,
            bytes => Some(RecordedOptimum::from_bytes(bytes)?),
        };
        let given = match checkpoints.preferences.as_slice() {
            [] => None,
            bytes => Some(preferences::read(&world, bytes)?),
        };
        let network = Network::new(base.config);
        let scored = SequenceSize { batch: LOOKED_AT, length: MAX_SEQUENCE - 1 };
        Ok(Self {
            base_parameters: upload(k, &base.parameters),
            reference: upload(k, &sft.parameters),
            live_sft: None,
            data: preferences::data(k, &network, &settings, given.as_deref()),
            online: preferences::online(k, &network, &settings, given.as_deref()),
            given,
            dpo: dpo::new(k, &network, &sft, &settings),
            reward_model: RewardModelRoom::new(),
            ppo: None,
            ppo_gt: None,
            likelihoods: Likelihoods::new(),
            best_of_n: None,
            evaluator: evaluator(k, &network, &settings),
            reader: Generation::new(k, network.clone(), READ_PROMPTS, MAX_SEQUENCE),
            reading: 1.0,
            scorer: Scorer::new(k, network.clone(), scored),
            sampler: Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE),
            optimum: Optimum::new(world.held_out_prompts().len(), recorded_optimum, &sft),
            settings,
            world,
            network,
            base,
            sft,
        })
    }

    /// Takes over new settings, and says what starts over for them.
    pub fn configure(&mut self, k: &mut K, settings: Settings) -> Consequences {
        let settings = settings.beside(&self.settings);
        let restarts = settings.restarts_since(&self.settings);
        self.settings = settings;
        self.dpo.configure(dpo::dpo_settings(&settings));
        self.configure_ppo();
        if restarts.evaluation {
            self.evaluator = evaluator(k, &self.network, &settings);
        }
        if restarts.pairs {
            self.data = preferences::data(k, &self.network, &settings, self.given.as_deref());
        }
        if restarts.optimum {
            self.optimum.restart();
        }
        Consequences { stages: restarts.restarted().collect(), remeasure: restarts.reference }
    }

    /// Optimiser steps of a policy.
    pub fn steps(&self, policy: Policy) -> u64 {
        let of = |live: &Option<LivePpo<K>>| live.as_ref().map_or(0, |live| live.ppo.policy().steps());
        match policy {
            Policy::Dpo => self.dpo.learner().steps(),
            Policy::Ppo => of(&self.ppo),
            Policy::PpoGt => of(&self.ppo_gt),
            Policy::Unlikelihood | Policy::PreferredFt => {
                self.likelihoods.get(policy).map_or(0, |live| live.learner().steps())
            }
        }
    }

    /// Makes the next chunk of pairs.
    pub async fn extend_pairs(&mut self, k: &mut K) -> Result<(), BackendError> {
        self.data.extend(k, &self.world, &self.reference).await
    }

    pub async fn advance_evaluation(&mut self, k: &mut K, subject: Subject) -> Result<(), BackendError> {
        let policy = match subject {
            Subject::Reference => Some(&self.reference),
            Subject::Policy(Policy::Dpo) => Some(&self.dpo.learner().parameters),
            Subject::Policy(Policy::Ppo) => self.ppo.as_ref().map(|live| &live.ppo.policy().parameters),
            Subject::Policy(Policy::PpoGt) => self.ppo_gt.as_ref().map(|live| &live.ppo.policy().parameters),
            Subject::Policy(policy) => self.likelihoods.get(policy).map(|live| &live.learner().parameters),
        };
        // A policy that has not begun is the reference.
        let policy = policy.unwrap_or(&self.reference);
        self.evaluator.advance(k, &self.world, policy, &self.reference).await
    }

    /// A prompt as the person typed it, or why it cannot be one.
    pub fn typed_prompt(&self, text: &str) -> Result<Vec<u32>, Failure> {
        reports::typed_prompt(&self.world, text)
    }

    /// The same prompts and coins through base, SFT and every policy that has a step.
    pub async fn samples(&mut self, k: &mut K, typed: Option<Vec<u32>>) -> Result<Samples, BackendError> {
        let is_typed = typed.is_some();
        let prompts = typed.map_or_else(|| self.standing_prompts(), |prompt| vec![prompt; 3]);
        let mut models = vec![
            (Stage::Base, self.base.step, &self.base_parameters),
            (Stage::Sft, self.sft.step, &self.reference),
            (Stage::Dpo, self.dpo.learner().steps(), &self.dpo.learner().parameters),
        ];
        for (stage, live) in [(Stage::Ppo, &self.ppo), (Stage::PpoGt, &self.ppo_gt)] {
            if let Some(LivePpo { ppo, .. }) = live {
                models.push((stage, ppo.policy().steps(), &ppo.policy().parameters));
            }
        }
        for policy in [Policy::Unlikelihood, Policy::PreferredFt] {
            if let Some(learner) = self.likelihoods.get(policy).map(LiveLikelihood::learner) {
                models.push((policy.stage(), learner.steps(), &learner.parameters));
            }
        }
        models.retain(|(stage, step, _)| *step > 0 || Policy::of(*stage).is_none());
        let written = write(k, &mut self.reader, self.reading, &self.settings, &prompts, &models).await?;
        let mut told = Vec::with_capacity(written.len());
        for (sequences, (stage, step, parameters)) in written.into_iter().zip(&models) {
            let numbers = sound(self.scorer.compare(k, parameters, &self.reference, &sequences).await?)?;
            told.push(((*stage, *step as usize), sequences.into_iter().zip(numbers).collect()));
        }
        Ok(reports::samples(&self.world, is_typed, &told))
    }

    /// The standing prompts and coins through SFT and a policy that was kept.
    pub async fn samples_of(&mut self, k: &mut K, stage: Stage, policy: &Checkpoint) -> Result<Samples, BackendError> {
        let prompts = self.standing_prompts();
        let parameters = upload(k, &policy.parameters);
        let models = [(Stage::Sft, self.sft.step, &self.reference), (stage, policy.step, &parameters)];
        let written = write(k, &mut self.reader, self.reading, &self.settings, &prompts, &models).await?;
        let mut told = Vec::with_capacity(written.len());
        for (sequences, (stage, step, parameters)) in written.into_iter().zip(models) {
            let numbers = sound(self.scorer.compare(k, parameters, &self.reference, &sequences).await?)?;
            told.push(((stage, step as usize), sequences.into_iter().zip(numbers).collect()));
        }
        // Its buffer goes, and so must the bind groups made for it.
        k.forget();
        Ok(reports::samples(&self.world, false, &told))
    }

    fn standing_prompts(&self) -> Vec<Vec<u32>> {
        let held_out = self.world.held_out_prompts();
        (0..READ_PROMPTS).map(|i| held_out[i * held_out.len() / READ_PROMPTS].clone()).collect()
    }

    /// Base, reference, recorded optimum and a person's pairs, as the files that a session begins with.
    pub fn checkpoints(&self) -> Checkpoints {
        let preferences = self.given.as_ref().map_or_else(Vec::new, |pairs| to_jsonl(&self.world, pairs).into_bytes());
        Checkpoints {
            base: self.base.to_bytes(),
            sft: self.sft.to_bytes(),
            optimum: self.optimum.to_bytes(),
            preferences,
        }
    }

    /// Goes on with a policy that another session trained on the same reference.
    pub fn resume(&mut self, k: &mut K, policy: Policy, checkpoint: &Checkpoint) {
        match policy {
            Policy::Dpo => self.dpo.resume(k, &checkpoint.parameters, checkpoint.step),
            Policy::Ppo | Policy::PpoGt => self.resume_ppo(k, policy, &checkpoint.parameters, checkpoint.step),
            Policy::Unlikelihood | Policy::PreferredFt => {
                self.resume_likelihood(k, policy, &checkpoint.parameters, checkpoint.step);
            }
        }
    }

    /// The model of a stage as a checkpoint, if there is one yet.
    pub async fn checkpoint(&mut self, k: &mut K, stage: Stage) -> Result<Option<Checkpoint>, BackendError> {
        let learned = |parameters, step, stage: &str| {
            Some(Checkpoint { parameters, step, stage: stage.into(), ..self.sft.clone() })
        };
        Ok(match stage {
            Stage::Base => Some(self.base.clone()),
            Stage::Sft | Stage::Pairs => match &self.live_sft {
                Some(live) => {
                    let learner = live.trainer.learner();
                    learned(learner.read_parameters(k).await?, learner.steps(), &self.sft.stage)
                }
                None => Some(self.sft.clone()),
            },
            Stage::Dpo => {
                let learner = self.dpo.learner();
                learned(learner.read_parameters(k).await?, learner.steps(), "dpo")
            }
            Stage::RewardModel => self.reward_model.trained.as_ref().map(|(trained, _)| Checkpoint {
                parameters: trained.parameters.clone(),
                step: trained.report.step,
                stage: "reward_model".into(),
                head: true,
                ..self.sft.clone()
            }),
            Stage::Ppo | Stage::PpoGt => {
                let (live, name) = if stage == Stage::Ppo { (&self.ppo, "ppo") } else { (&self.ppo_gt, "ppo-gt") };
                match live {
                    Some(LivePpo { ppo, .. }) => learned(ppo.read_policy(k).await?, ppo.policy().steps(), name),
                    None => None,
                }
            }
            Stage::Unlikelihood | Stage::PreferredFt => {
                let policy = Policy::of(stage).expect("both have a policy");
                match self.likelihoods.get(policy).map(LiveLikelihood::learner) {
                    Some(learner) => {
                        learned(learner.read_parameters(k).await?, learner.steps(), policy.method().info().file_name)
                    }
                    None => None,
                }
            }
            Stage::BestOfN => None,
        })
    }
}

/// The numbers, if they are numbers.
fn sound(numbers: Vec<TokenComparison>) -> Result<Vec<TokenComparison>, BackendError> {
    let is_sound = numbers.iter().all(|tokens| tokens.log_ratios().iter().all(|ratio| ratio.is_finite()));
    if is_sound { Ok(numbers) } else { Err(BackendError::NotFinite) }
}

/// The same prompts and coins through each of the models.
async fn write<K: Kernels>(
    k: &mut K,
    reader: &mut Generation<K>,
    temperature: f64,
    settings: &Settings,
    prompts: &[Vec<u32>],
    models: &[(Stage, u64, &K::Floats)],
) -> Result<Vec<Vec<Sequence>>, BackendError> {
    let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut coins = Generator::new(u64::from(settings.seed), "samples").coins(reader.coins());
    coins.truncate(prompts.len() * MAX_SEQUENCE);
    let mut written = Vec::new();
    for (_, _, parameters) in models {
        let settings = GenerationSettings { temperature, ..at_temperature_1() };
        written.push(reader.generate(k, parameters, &slices, &coins, settings).await?);
    }
    Ok(written)
}

fn at_temperature_1() -> GenerationSettings {
    GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING }
}

fn evaluator<K: Kernels>(k: &mut K, network: &Network, settings: &Settings) -> Evaluator<K> {
    let samples = settings.evaluation_samples;
    Evaluator::new(k, network, PIECE, EvaluationSettings { samples, ..EvaluationSettings::default() })
}
