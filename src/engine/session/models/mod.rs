//! What every policy of a session is trained on and measured by: base model, reference, pairs, reward model, evaluation and
//! samples.

mod optimum;
pub(super) mod preferences;
mod reference;

use thiserror::Error;

use crate::engine::protocol::{Checkpoints, Failure, Samples, Stage};
use crate::engine::session::reports;
use crate::engine::settings::Settings;
use klimb_align::language::{Generation, GenerationSettings, Scorer, Sequence, TokenComparison, upload};
use klimb_lab::{
    EvaluationSettings, Evaluator, PreferenceData, RecordedOptimum, RecordedOptimumError, TrainedRewardModel,
};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_network::model::{Checkpoint, CheckpointError, Expectation};
use klimb_numerics::rng::Generator;
use klimb_text::Message;
use klimb_world::preferences::{Pair, to_jsonl};
use klimb_world::{MAX_SEQUENCE, Vocabulary, World, WorldSettings};
use optimum::Optimum;
use preferences::PreferencesError;

/// Samples taken at a time for points, for the optimum and for the reward model's scores.
pub(super) const PIECE: usize = 128;
/// Prompts read side by side.
const READ_PROMPTS: usize = 5;
/// Pairs or episodes told in full after a step.
pub(super) const TOLD: usize = 4;
/// Sequences that are looked at in one forward pass.
const LOOKED_AT: usize = 32;

/// A shipped file that cannot be used.
#[derive(Debug, Error)]
pub enum AssetError {
    /// A model.
    Checkpoint(#[from] CheckpointError),
    /// The recorded optimum.
    Optimum(#[from] RecordedOptimumError),
    /// A person's pairs.
    Preferences(#[from] PreferencesError),
}

impl AssetError {
    /// What is wrong, as a clause.
    pub fn message(&self) -> Message {
        match self {
            Self::Checkpoint(error) => error.message(),
            Self::Optimum(error) => error.message(),
            Self::Preferences(error) => error.message(),
        }
    }
}

display_message!(AssetError);

/// What new settings start over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consequences {
    /// Stages that begin anew.
    pub stages: Vec<Stage>,
    /// Whether the reference is to be measured again.
    pub remeasure: bool,
}

/// Everything a session computes with.
pub struct Models<K: Kernels> {
    pub settings: Settings,
    pub world: World,
    pub network: Network,
    pub base: Checkpoint,
    /// The reference: recorded, loaded, or adopted from live SFT.
    pub sft: Checkpoint,
    base_parameters: K::Floats,
    /// Its parameters, where they are computed with.
    pub reference: K::Floats,
    /// Pairs that a person labelled.
    pub given: Option<Vec<Pair>>,
    pub data: PreferenceData<K>,
    /// The finished reward model and the steps it took.
    pub reward_model: Option<(TrainedRewardModel, u64)>,
    pub evaluator: Evaluator<K>,
    reader: Generation<K>,
    /// The temperature at which it writes.
    pub reading: f64,
    pub scorer: Scorer<K>,
    pub sampler: Generation<K>,
    optimum: Optimum,
}

impl<K: Kernels> Models<K> {
    /// Models from shipped checkpoints.
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
            data: preferences::data(k, &network, &settings, given.as_deref()),
            given,
            reward_model: None,
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

    /// Makes the next chunk of pairs.
    pub async fn extend_pairs(&mut self, k: &mut K) -> Result<(), BackendError> {
        self.data.extend(k, &self.world, &self.reference).await
    }

    /// A piece of measuring a policy; the reference itself where there is none.
    pub async fn advance_evaluation(&mut self, k: &mut K, policy: Option<&K::Floats>) -> Result<(), BackendError> {
        self.evaluator.advance(k, &self.world, policy.unwrap_or(&self.reference), &self.reference).await
    }

    /// A prompt as the person typed it, or why it cannot be one.
    pub fn typed_prompt(&self, text: &str) -> Result<Vec<u32>, Failure> {
        reports::typed_prompt(&self.world, text)
    }

    /// The same prompts and coins through base, SFT and the policies, of each of which the stage, its steps and parameters
    /// are given.
    pub async fn samples<'a>(
        &'a mut self,
        k: &mut K,
        policies: impl Iterator<Item = (Stage, u64, &'a K::Floats)>,
        typed: Option<Vec<u32>>,
    ) -> Result<Samples, BackendError> {
        let is_typed = typed.is_some();
        let prompts = typed.map_or_else(|| self.standing_prompts(), |prompt| vec![prompt; 3]);
        let own = [(Stage::Base, self.base.step, &self.base_parameters), (Stage::Sft, self.sft.step, &self.reference)];
        let models: Vec<(Stage, u64, &K::Floats)> = own.into_iter().chain(policies).collect();
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

    /// A policy that was trained on the reference, as a checkpoint.
    pub fn checkpoint_of(&self, parameters: Vec<f32>, step: u64, stage: &str) -> Checkpoint {
        Checkpoint { parameters, step, stage: stage.into(), ..self.sft.clone() }
    }

    /// The base model as a checkpoint.
    pub fn base_checkpoint(&self) -> Checkpoint {
        self.base.clone()
    }

    /// The finished reward model and the steps it took.
    pub fn trained_reward_model(&self) -> Option<&(TrainedRewardModel, u64)> {
        self.reward_model.as_ref()
    }

    /// The reward model as a checkpoint, once it is trained.
    pub fn reward_model_checkpoint(&self) -> Option<Checkpoint> {
        let (trained, _) = self.trained_reward_model()?;
        let checkpoint = self.checkpoint_of(trained.parameters.clone(), trained.report.step, "reward_model");
        Some(Checkpoint { head: true, ..checkpoint })
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

pub(super) fn at_temperature_1() -> GenerationSettings {
    GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING }
}

fn evaluator<K: Kernels>(k: &mut K, network: &Network, settings: &Settings) -> Evaluator<K> {
    let samples = settings.evaluation_samples;
    Evaluator::new(k, network, PIECE, EvaluationSettings { samples, ..EvaluationSettings::default() })
}
