//! The models and data of a session, stage by stage, and the work each stage can do.

use super::reports;
use crate::algorithms::{Dpo, DpoMetrics, DpoSettings, Sft};
use crate::backend::network::Network;
use crate::backend::{BackendError, Kernels, SequenceSize};
use crate::engine::protocol::{Batch, Checkpoints, Failure, Samples, Stage};
use crate::engine::settings::Settings;
use crate::experiments::{
    EvaluationSettings, Evaluator, OptimumSample, PAIRS_PER_CHUNK, PreferenceData, PreferenceSettings, SFT_STEPS,
    TextSource, optimum_curve, sft_settings,
};
use crate::language::{Generation, GenerationSettings, Schedule, Scorer, upload};
use crate::metrics::{MetricRow, OptimumPoint};
use crate::model::{Checkpoint, CheckpointError, Expectation};
use crate::rng::Generator;
use crate::world::preferences::LabelSettings;
use crate::world::{MAX_SEQUENCE, Vocabulary, World, WorldSettings};

/// Samples taken at a time for points and for the optimum.
const PIECE: usize = 128;
/// Samples of the reference per held-out prompt behind the optimum.
const OPTIMUM_SAMPLES: usize = 1024;
/// Prompts read side by side.
const READ_PROMPTS: usize = 5;
/// Pairs told in full after a step.
const TOLD_PAIRS: usize = 4;
/// DPO's learning rate warms up over so many steps, and decays until the last.
const DPO_WARM_UP: u64 = 20;
const DPO_DECAY: u64 = 600;

/// Which policy is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The SFT model.
    Reference,
    /// The policy in DPO.
    Dpo,
}

/// Live SFT, with its supply of reviews.
struct LiveSft<K: Kernels> {
    trainer: Sft<K>,
    text: TextSource,
    /// Steps that the reference already has.
    adopted: u64,
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
    pub data: PreferenceData<K>,
    pub dpo: Dpo<K>,
    pub evaluator: Evaluator<K>,
    reader: Generation<K>,
    scorer: Scorer<K>,
    sampler: Generation<K>,
    optimum: Vec<Vec<OptimumSample>>,
    optimum_pieces: usize,
}

impl<K: Kernels> Pipeline<K> {
    /// A pipeline from shipped checkpoints.
    pub fn new(k: &mut K, settings: Settings, checkpoints: &Checkpoints) -> Result<Self, CheckpointError> {
        let world = World::new(WorldSettings::default()).expect("the default world is valid");
        let vocabulary_fingerprint = world.vocabulary().fingerprint();
        let expected =
            Expectation { config: None, vocabulary_fingerprint: vocabulary_fingerprint.clone(), head: false };
        let base = Checkpoint::from_bytes(&checkpoints.base, Some(&expected))?;
        let expected = Expectation { config: Some(base.config), vocabulary_fingerprint, head: false };
        let sft = Checkpoint::from_bytes(&checkpoints.sft, Some(&expected))?;
        let network = Network::new(base.config);
        let scored = SequenceSize { batch: 2 * TOLD_PAIRS, length: MAX_SEQUENCE - 1 };
        Ok(Self {
            base_parameters: upload(k, &base.parameters),
            reference: upload(k, &sft.parameters),
            live_sft: None,
            data: preference_data(k, &network, &settings),
            dpo: dpo(k, &network, &sft, &settings),
            evaluator: evaluator(k, &network, &settings),
            reader: Generation::new(k, network.clone(), READ_PROMPTS, MAX_SEQUENCE),
            scorer: Scorer::new(k, network.clone(), scored),
            sampler: Generation::new(k, network.clone(), PIECE, MAX_SEQUENCE),
            optimum: vec![Vec::new(); world.held_out_prompts().len()],
            optimum_pieces: 0,
            settings,
            world,
            network,
            base,
            sft,
        })
    }

    /// Takes over new settings; true if DPO must start over for them.
    pub fn configure(&mut self, k: &mut K, settings: Settings) -> bool {
        let old = std::mem::replace(&mut self.settings, settings);
        self.dpo.configure(settings.beta, settings.label_smoothing, schedule(&settings));
        let remeasure = old.evaluation_samples != settings.evaluation_samples;
        if remeasure {
            self.evaluator = evaluator(k, &self.network, &settings);
        }
        let relabel =
            (old.seed, old.label_temperature, old.pairs) != (settings.seed, settings.label_temperature, settings.pairs);
        if relabel {
            self.data = preference_data(k, &self.network, &settings);
            self.restart_optimum();
        }
        relabel || remeasure || old.batch_size != settings.batch_size
    }

    /// A new DPO run from the reference, on the same pairs in the same order.
    pub fn restart_dpo(&mut self, k: &mut K) {
        k.forget();
        self.dpo = dpo(k, &self.network, &self.sft, &self.settings);
        self.data.rewind();
    }

    /// Begins SFT from the base model. The reference stays what it was until it is adopted.
    pub fn begin_sft(&mut self, k: &mut K) {
        let settings = sft_settings(SFT_STEPS);
        let trainer = Sft::new(k, self.network.clone(), &self.base.parameters, MAX_SEQUENCE - 1, settings);
        let text = TextSource::reviews(u64::from(self.settings.seed));
        self.live_sft = Some(LiveSft { trainer, text, adopted: 0 });
    }

    pub fn sft_is_live(&self) -> bool {
        self.live_sft.is_some()
    }

    pub fn sft_steps(&self) -> u64 {
        self.live_sft.as_ref().map_or(self.sft.step, |live| live.trainer.learner().steps())
    }

    pub fn sft_progress(&self) -> (usize, usize) {
        (self.sft_steps().min(SFT_STEPS) as usize, SFT_STEPS as usize)
    }

    /// Whether live SFT has taken steps that the reference does not have.
    pub fn sft_has_news(&self) -> bool {
        self.live_sft.as_ref().is_some_and(|live| live.trainer.learner().steps() > live.adopted)
    }

    /// Takes `steps` optimiser steps of SFT, with one submit in flight at a time.
    pub async fn train_sft(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        let Some(live) = &mut self.live_sft else { return Ok(Vec::new()) };
        for _ in 0..steps {
            let reviews = live.text.batch(&self.world, live.trainer.learner().size().batch);
            live.trainer.step(k, &reviews);
            k.finished().await?;
        }
        Ok(live.trainer.metrics(k).await?.iter().map(reports::sft_row).collect())
    }

    /// Makes the SFT model, live if there is one, the reference; pairs and optimum start over.
    pub async fn adopt(&mut self, k: &mut K) -> Result<(), BackendError> {
        if let Some(live) = &mut self.live_sft {
            self.sft.parameters = live.trainer.learner().read_parameters(k).await?;
            live.adopted = live.trainer.learner().steps();
            self.sft.step = live.adopted;
        }
        self.reference = upload(k, &self.sft.parameters);
        self.data = preference_data(k, &self.network, &self.settings);
        self.restart_optimum();
        Ok(())
    }

    /// Replaces the SFT model by the one in a file; [`Pipeline::adopt`] then makes it the reference.
    pub fn load_sft(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let vocabulary_fingerprint = self.world.vocabulary().fingerprint();
        let expected = Expectation { config: Some(self.base.config), vocabulary_fingerprint, head: false };
        self.sft = Checkpoint::from_bytes(bytes, Some(&expected))?;
        self.live_sft = None;
        Ok(())
    }

    pub fn wants_pairs(&self) -> bool {
        self.data.wants_more(self.settings.batch_size)
    }

    pub async fn extend_pairs(&mut self, k: &mut K) -> Result<(), BackendError> {
        self.data.extend(k, &self.world, &self.reference).await
    }

    /// Takes `steps` optimiser steps of DPO, with one submit in flight at a time.
    pub async fn train_dpo(&mut self, k: &mut K, steps: usize) -> Result<Vec<MetricRow>, BackendError> {
        for _ in 0..steps {
            if self.wants_pairs() {
                self.data.extend(k, &self.world, &self.reference).await?;
            }
            let batch = self.data.next_batch(self.settings.batch_size);
            self.dpo.step(k, &batch);
            k.finished().await?;
        }
        let metrics: Vec<DpoMetrics> = self.dpo.metrics(k).await?;
        Ok(metrics.iter().map(reports::dpo_row).collect())
    }

    /// One optimiser step of DPO with the numbers of its first pairs, as they were before the update.
    pub async fn step_dpo_in_full(&mut self, k: &mut K) -> Result<(Batch, Vec<MetricRow>), BackendError> {
        let pairs = self.data.next_batch(self.settings.batch_size);
        let told: Vec<_> = (0..TOLD_PAIRS.min(pairs.chosen.len()))
            .flat_map(|pair| [pairs.chosen[pair].clone(), pairs.rejected[pair].clone()])
            .collect();
        let policy = &self.dpo.learner().parameters;
        let numbers = self.scorer.compare(k, policy, &self.reference, &told).await?;
        self.dpo.step(k, &pairs);
        let outcomes = self.dpo.outcomes(k).await?;
        let metrics = self.dpo.metrics(k).await?;
        let batch = reports::batch(&self.world, self.dpo.settings(), &told, &numbers, &outcomes, metrics.last());
        Ok((batch, metrics.iter().map(reports::dpo_row).collect()))
    }

    pub async fn advance_evaluation(&mut self, k: &mut K, subject: Subject) -> Result<(), BackendError> {
        let policy = match subject {
            Subject::Reference => &self.reference,
            Subject::Dpo => &self.dpo.learner().parameters,
        };
        self.evaluator.advance(k, &self.world, policy, &self.reference).await
    }

    /// A prompt as the person typed it, or why it cannot be one.
    pub fn typed_prompt(&self, text: &str) -> Result<Vec<u32>, Failure> {
        reports::typed_prompt(&self.world, text)
    }

    /// The same prompts and coins through base, SFT and, once it has a step, DPO.
    pub async fn samples(&mut self, k: &mut K, typed: Option<Vec<u32>>) -> Result<Samples, BackendError> {
        let held_out = self.world.held_out_prompts();
        let standing = || (0..READ_PROMPTS).map(|i| held_out[i * held_out.len() / READ_PROMPTS].clone()).collect();
        let prompts: Vec<Vec<u32>> = typed.as_ref().map_or_else(standing, |prompt| vec![prompt.clone(); 3]);
        let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut coins = Generator::new(u64::from(self.settings.seed), "samples").coins(self.reader.coins());
        coins.truncate(prompts.len() * MAX_SEQUENCE);
        let step = self.dpo.learner().steps();
        let mut models = vec![(Stage::Base, &self.base_parameters), (Stage::Sft, &self.reference)];
        if step > 0 {
            models.push((Stage::Dpo, &self.dpo.learner().parameters));
        }
        let mut written = Vec::new();
        for (stage, parameters) in models {
            let sequences = self.reader.generate(k, parameters, &slices, &coins, at_temperature_1()).await?;
            written.push((stage, sequences));
        }
        Ok(reports::samples(&self.world, step as usize, typed.is_some(), &written))
    }

    pub fn optimum_is_complete(&self) -> bool {
        let (done, total) = self.optimum_progress();
        done == total
    }

    /// Pieces done and pieces in all.
    pub fn optimum_progress(&self) -> (usize, usize) {
        (self.optimum_pieces, (self.optimum.len() * OPTIMUM_SAMPLES).div_ceil(PIECE))
    }

    /// Takes one more piece of reference samples.
    pub async fn sample_optimum(&mut self, k: &mut K) -> Result<(), BackendError> {
        let prompts = self.world.held_out_prompts();
        let first = self.optimum_pieces * PIECE;
        let turn = |i: usize| (first + i) % prompts.len();
        let slices: Vec<&[u32]> = (0..PIECE).map(|i| prompts[turn(i)].as_slice()).collect();
        let mut generator = Generator::numbered(u64::from(self.settings.seed), "optimum", self.optimum_pieces as u64);
        let coins = generator.coins(self.sampler.coins());
        let sequences = self.sampler.generate(k, &self.reference, &slices, &coins, at_temperature_1()).await?;
        for (i, sequence) in sequences.iter().enumerate() {
            let gold_reward = self.world.gold_reward(&sequence.tokens);
            self.optimum[turn(i)].push(OptimumSample { gold_reward, log_weight: 0.0 });
        }
        self.optimum_pieces += 1;
        Ok(())
    }

    pub fn optimum_curve(&self) -> Vec<OptimumPoint> {
        optimum_curve(&self.optimum, self.settings.label_temperature)
    }

    fn restart_optimum(&mut self) {
        self.optimum.iter_mut().for_each(Vec::clear);
        self.optimum_pieces = 0;
    }

    /// Base and reference, as the files that a session begins with.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints { base: self.base.to_bytes(), sft: self.sft.to_bytes() }
    }

    /// Goes on with a policy that another session trained on the same reference.
    pub fn resume_dpo(&mut self, k: &mut K, policy: &Checkpoint) {
        self.dpo.resume(k, &policy.parameters, policy.step);
    }

    /// The model of a stage, as a checkpoint.
    pub async fn checkpoint(&mut self, k: &mut K, stage: Stage) -> Result<Checkpoint, BackendError> {
        Ok(match stage {
            Stage::Base => self.base.clone(),
            Stage::Sft | Stage::Pairs => match &self.live_sft {
                Some(live) => {
                    let learner = live.trainer.learner();
                    Checkpoint {
                        parameters: learner.read_parameters(k).await?,
                        step: learner.steps(),
                        ..self.sft.clone()
                    }
                }
                None => self.sft.clone(),
            },
            Stage::Dpo => {
                let learner = self.dpo.learner();
                let (parameters, step) = (learner.read_parameters(k).await?, learner.steps());
                Checkpoint { parameters, step, stage: "dpo".into(), ..self.sft.clone() }
            }
        })
    }
}

fn at_temperature_1() -> GenerationSettings {
    GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING }
}

fn schedule(settings: &Settings) -> Schedule {
    let peak = settings.learning_rate;
    Schedule { peak, floor: peak / 20.0, warm_up: DPO_WARM_UP, steps: DPO_DECAY }
}

fn dpo<K: Kernels>(k: &mut K, network: &Network, reference: &Checkpoint, settings: &Settings) -> Dpo<K> {
    let settings = DpoSettings {
        beta: settings.beta,
        label_smoothing: settings.label_smoothing,
        pairs: settings.batch_size,
        schedule: schedule(settings),
        ..DpoSettings::default()
    };
    Dpo::new(k, network.clone(), &reference.parameters, MAX_SEQUENCE - 1, settings)
}

fn preference_data<K: Kernels>(k: &mut K, network: &Network, settings: &Settings) -> PreferenceData<K> {
    let labels = LabelSettings { temperature: settings.label_temperature, ..LabelSettings::default() };
    let chunks = settings.pairs.div_ceil(PAIRS_PER_CHUNK);
    PreferenceData::new(k, network, u64::from(settings.seed), PreferenceSettings { chunks, labels })
}

fn evaluator<K: Kernels>(k: &mut K, network: &Network, settings: &Settings) -> Evaluator<K> {
    let samples = settings.evaluation_samples;
    Evaluator::new(k, network, PIECE, EvaluationSettings { samples, ..EvaluationSettings::default() })
}
