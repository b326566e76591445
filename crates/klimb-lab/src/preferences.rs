//! Preference data: completions of the reference, or of the grammar where there is no SFT model, judged by the world, in
//! numbered chunks; or pairs that a person labelled.
//!
//! A chunk depends on the seed, the reference and its number alone, so data can be made when it is first needed and a
//! run is the same however it was paused.

use serde::{Deserialize, Serialize};

use super::{Loophole, limits};
use klimb_align::algorithms::PairBatch;
use klimb_align::language::{Generation, GenerationSettings, Scorer, Sequence};
use klimb_network::backend::network::Network;
use klimb_network::backend::{BackendError, Kernels, SequenceSize};
use klimb_numerics::rng::Generator;
use klimb_text::ConfigError;
use klimb_world::preferences::{LabelSettings, Pair, label_pairs};
use klimb_world::{MAX_SEQUENCE, Vocabulary, World};

/// Prompt instances in a chunk: four completions and six pairs each.
const INSTANCES_PER_CHUNK: usize = 32;
/// Pairs of a prompt instance: every two of its completions. They follow one another.
pub const PAIRS_PER_INSTANCE: usize = COMPLETIONS * (COMPLETIONS - 1) / 2;
/// Pairs a chunk makes.
pub const PAIRS_PER_CHUNK: usize = INSTANCES_PER_CHUNK * PAIRS_PER_INSTANCE;
/// Completions a prompt instance gets (Rafailov et al. 2023, section 6).
const COMPLETIONS: usize = 4;

/// Who writes the completions that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    /// The reference itself, so that the pairs lie where it does.
    #[default]
    Reference,
    /// The world's grammar, as in public data sets that someone else has written; π_ref is then made by maximising the
    /// likelihood of the chosen (Rafailov et al. 2023, section 4; see `TextSource::chosen`).
    Grammar,
    /// The policy as it is when its next pairs are needed, so that they lie where it has gone: online DPO (Guo et al.
    /// 2024). Outside a training the policy is the reference.
    Policy,
}

/// What the data is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PreferenceSettings {
    /// Chunks before the data repeats; each has 192 pairs.
    pub chunks: usize,
    /// Label noise.
    pub labels: LabelSettings,
    /// Who writes.
    #[serde(default)]
    pub writer: Writer,
    /// The bonus of a [`Loophole`] in the labels; 0 is none.
    #[serde(default)]
    pub loophole_bonus: f64,
}

impl Default for PreferenceSettings {
    fn default() -> Self {
        Self { chunks: 64, labels: LabelSettings::default(), writer: Writer::default(), loophole_bonus: 0.0 }
    }
}

impl PreferenceSettings {
    /// The settings, or all that cannot be used.
    ///
    /// # Errors
    /// `pairs` if there is none or more than there is room for, and a label's noise that is out of range.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let pairs = (self.chunks as u64).saturating_mul(PAIRS_PER_CHUNK as u64);
        ConfigError::all([
            limits::count("pairs", pairs, limits::MOST_PAIRS, limits::IN_MEMORY),
            limits::not_too_large("loophole", self.loophole_bonus),
            self.labels.validated().map(drop),
        ])?;
        Ok(self)
    }
}

/// A labelled pair with the reference's log-probabilities, computed once.
#[derive(Debug, Clone, PartialEq)]
struct LabelledPair {
    pair: Pair,
    reference_chosen: f64,
    reference_rejected: f64,
}

/// In which order a run takes the pairs, and how far it is: each chunk shuffled as it comes in the first pass, all
/// shuffled together afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PairOrder {
    order: Vec<usize>,
    epoch: u64,
    next: usize,
}

/// Where the pairs come from.
enum Source {
    /// They are made.
    Made(PreferenceSettings),
    /// Somebody has labelled them.
    Given(Vec<Pair>),
}

impl Source {
    fn chunks(&self) -> usize {
        match self {
            Self::Made(settings) => settings.chunks,
            Self::Given(pairs) => pairs.len().div_ceil(PAIRS_PER_CHUNK),
        }
    }
}

/// Preference pairs, chunk by chunk made or, where they are given, scored by the reference, and kept.
pub struct PreferenceData<K: Kernels> {
    seed: u64,
    source: Source,
    generation: Generation<K>,
    scorer: Scorer<K>,
    pairs: Vec<LabelledPair>,
    chunks: usize,
    order: PairOrder,
}

impl<K: Kernels> PreferenceData<K> {
    /// No pair yet.
    pub fn new(k: &mut K, network: &Network, seed: u64, settings: PreferenceSettings) -> Self {
        Self::from_source(k, network, seed, Source::Made(settings))
    }

    /// Pairs that are given; `seed` decides their order alone.
    ///
    /// # Panics
    /// If there is no pair.
    pub fn given(k: &mut K, network: &Network, seed: u64, pairs: Vec<Pair>) -> Self {
        assert!(!pairs.is_empty(), "PreferenceData::given: no pair");
        Self::from_source(k, network, seed, Source::Given(pairs))
    }

    fn from_source(k: &mut K, network: &Network, seed: u64, source: Source) -> Self {
        let batch = INSTANCES_PER_CHUNK * COMPLETIONS;
        let size = SequenceSize { batch, length: MAX_SEQUENCE - 1 };
        Self {
            seed,
            source,
            generation: Generation::new(k, network.clone(), batch, MAX_SEQUENCE),
            scorer: Scorer::new(k, network.clone(), size),
            pairs: Vec::new(),
            chunks: 0,
            order: PairOrder::default(),
        }
    }

    /// What names the pairs and their order.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Pairs made so far.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether no pair has been made.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Pairs there will be.
    pub fn capacity(&self) -> usize {
        match &self.source {
            Source::Made(settings) => settings.chunks * PAIRS_PER_CHUNK,
            Source::Given(pairs) => pairs.len(),
        }
    }

    /// The pairs made so far, in the order they were made.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().map(|labelled| &labelled.pair)
    }

    /// Makes the next chunk, unless all are made: four completions of each prompt at temperature 1, six labels. Pairs
    /// that are given only get the reference's log-probabilities.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`; `NotFinite` if the reference's numbers are none. No pair is
    /// there then that was not before.
    pub async fn extend(&mut self, k: &mut K, world: &World, reference: &K::Floats) -> Result<(), BackendError> {
        self.extend_by(k, world, reference, reference).await
    }

    /// [`PreferenceData::extend`] with the completions of `policy` where the settings' writer is the policy.
    ///
    /// # Errors
    /// As any read of the backend: `DeviceLost` or `Readback`.
    pub async fn extend_by(
        &mut self,
        k: &mut K,
        world: &World,
        policy: &K::Floats,
        reference: &K::Floats,
    ) -> Result<(), BackendError> {
        if self.chunks == self.source.chunks() {
            return Ok(());
        }
        let made = match &self.source {
            &Source::Made(settings) => self.make(k, world, policy, reference, settings).await?,
            Source::Given(pairs) => {
                let first = self.chunks * PAIRS_PER_CHUNK;
                let pairs = pairs[first..(first + PAIRS_PER_CHUNK).min(pairs.len())].to_vec();
                self.score(k, reference, pairs).await?
            }
        };
        // They are used in every pass, and starting over makes no others.
        if !made.iter().all(|pair| pair.reference_chosen.is_finite() && pair.reference_rejected.is_finite()) {
            return Err(BackendError::NotFinite);
        }
        self.pairs.extend(made);
        self.chunks += 1;
        Ok(())
    }

    /// Given pairs with the reference's log-probabilities.
    async fn score(
        &mut self,
        k: &mut K,
        reference: &K::Floats,
        pairs: Vec<Pair>,
    ) -> Result<Vec<LabelledPair>, BackendError> {
        let both = |pair: &Pair| [&pair.chosen, &pair.rejected].map(|it| Sequence::new(&pair.prompt, it));
        let sequences: Vec<Sequence> = pairs.iter().flat_map(both).collect();
        let logprobs = self.scorer.sequence_logprobs(k, reference, &sequences).await?;
        let labelled = |(pair, logprobs): (Pair, &[f64; 2])| LabelledPair {
            pair,
            reference_chosen: logprobs[0],
            reference_rejected: logprobs[1],
        };
        Ok(pairs.into_iter().zip(logprobs.as_chunks().0).map(labelled).collect())
    }

    /// The next chunk of made pairs.
    async fn make(
        &mut self,
        k: &mut K,
        world: &World,
        policy: &K::Floats,
        reference: &K::Floats,
        settings: PreferenceSettings,
    ) -> Result<Vec<LabelledPair>, BackendError> {
        let mut draws = Generator::numbered(self.seed, "preference pairs", self.chunks as u64);
        let prompts: Vec<&[u32]> = (0..INSTANCES_PER_CHUNK)
            .map(|_| world.train_prompts()[draws.below(world.train_prompts().len())].as_slice())
            .flat_map(|prompt| [prompt; COMPLETIONS])
            .collect();
        let sequences = match settings.writer {
            Writer::Reference | Writer::Policy => {
                let writer = if settings.writer == Writer::Policy { policy } else { reference };
                let coins = draws.coins(self.generation.coins());
                let settings =
                    GenerationSettings { temperature: 1.0, end: Vocabulary::END, padding: Vocabulary::PADDING };
                self.generation.generate(k, writer, &prompts, &coins, settings).await?
            }
            Writer::Grammar => prompts.iter().map(|prompt| review_for(world, prompt, &mut draws)).collect(),
        };
        let logprobs = self.scorer.sequence_logprobs(k, reference, &sequences).await?;
        let loophole = Loophole { bonus: settings.loophole_bonus, ..Loophole::default() };
        let mut made = Vec::new();
        for (sequences, logprobs) in sequences.chunks_exact(COMPLETIONS).zip(logprobs.chunks_exact(COMPLETIONS)) {
            let completions: Vec<&[u32]> = sequences.iter().map(Sequence::completion).collect();
            let gold: Vec<f64> = sequences.iter().map(|sequence| world.gold_reward(&sequence.tokens)).collect();
            let judged: Vec<f64> =
                sequences.iter().zip(&gold).map(|(it, gold)| gold + loophole.bonus_of(world, it)).collect();
            let place_of = |completion: &[u32]| {
                let place = completions.iter().position(|&candidate| candidate == completion);
                place.expect("a pair is made of the completions it was labelled from")
            };
            for pair in label_pairs(sequences[0].prompt(), &completions, &judged, settings.labels, &mut draws) {
                let (chosen, rejected) = (place_of(&pair.chosen), place_of(&pair.rejected));
                // A pair tells the world's gold reward, whatever its label followed.
                let pair = Pair { chosen_gold: gold[chosen], rejected_gold: gold[rejected], ..pair };
                let (reference_chosen, reference_rejected) = (logprobs[chosen], logprobs[rejected]);
                made.push(LabelledPair { pair, reference_chosen, reference_rejected });
            }
        }
        Ok(made)
    }

    /// Whether another chunk must be made before [`PreferenceData::next_batch`] of `count` pairs: in the first pass
    /// over the data, each chunk is used as soon as it is there.
    pub fn wants_more(&self, count: usize) -> bool {
        self.wants_more_for(&self.order, count)
    }

    /// [`PreferenceData::wants_more`] for a run with an order of its own.
    pub fn wants_more_for(&self, order: &PairOrder, count: usize) -> bool {
        order.epoch == 0 && self.chunks < self.source.chunks() && self.pairs.len() < order.next + count
    }

    /// The next `count` pairs.
    pub fn next_batch(&mut self, count: usize) -> PairBatch {
        let mut order = std::mem::take(&mut self.order);
        let batch = self.next_batch_in(&mut order, count);
        self.order = order;
        batch
    }

    /// The next `count` pairs of a run with an order of its own.
    pub fn next_batch_in(&self, order: &mut PairOrder, count: usize) -> PairBatch {
        assert!(!self.pairs.is_empty(), "next_batch: no pair has been made");
        let mut batch = PairBatch::default();
        for _ in 0..count {
            if order.next == order.order.len() {
                self.reorder(order);
            }
            let LabelledPair { pair, reference_chosen, reference_rejected } = &self.pairs[order.order[order.next]];
            batch.chosen.push(Sequence::new(&pair.prompt, &pair.chosen));
            batch.rejected.push(Sequence::new(&pair.prompt, &pair.rejected));
            batch.reference_chosen.push(*reference_chosen);
            batch.reference_rejected.push(*reference_rejected);
            order.next += 1;
        }
        batch
    }

    /// Appends what has not been used yet, or begins another pass.
    fn reorder(&self, order: &mut PairOrder) {
        let first_pass = order.epoch == 0 && order.order.len() < self.pairs.len();
        let mut fresh: Vec<usize> = if first_pass {
            let first = order.order.len();
            (first..(first + PAIRS_PER_CHUNK).min(self.pairs.len())).collect()
        } else {
            order.epoch += 1;
            (order.order, order.next) = (Vec::new(), 0);
            (0..self.pairs.len()).collect()
        };
        let stream = order.epoch << 32 | order.order.len() as u64;
        Generator::numbered(self.seed, "pair order", stream).shuffle(&mut fresh);
        order.order.extend(fresh);
    }
}

/// A review that the grammar writes to `prompt`.
fn review_for(world: &World, prompt: &[u32], draws: &mut Generator) -> Sequence {
    let review = world.review_for(prompt, draws);
    Sequence { tokens: review.tokens, prompt_length: review.prompt_length }
}

/// The preferred of two reviews that the grammar writes to a training prompt.
pub(super) fn chosen_review(world: &World, labels: LabelSettings, draws: &mut Generator) -> Sequence {
    let prompt = world.train_prompts()[draws.below(world.train_prompts().len())].as_slice();
    let reviews = [(); 2].map(|()| review_for(world, prompt, draws));
    let gold = reviews.each_ref().map(|review| world.gold_reward(&review.tokens));
    let completions = reviews.each_ref().map(Sequence::completion);
    let pair = label_pairs(prompt, &completions, &gold, labels, draws).swap_remove(0);
    Sequence::new(prompt, &pair.chosen)
}
