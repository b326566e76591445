//! Samples of the reference behind the closed-form optimum, piece by piece.

use super::{Models, PIECE, at_temperature_1};
use klimb_lab::{OptimumSample, RecordedOptimum, Worth, optimum_curve};
use klimb_metrics::OptimumPoint;
use klimb_network::backend::{BackendError, Kernels};
use klimb_network::model::Checkpoint;
use klimb_numerics::rng::Generator;

/// Samples of the reference per held-out prompt.
const SAMPLES: usize = 1024;

/// The recorded curve, or what has been sampled so far, prompt by prompt.
pub(super) struct Optimum {
    samples: Vec<Vec<OptimumSample>>,
    pieces: usize,
    /// Shipped with the checkpoints, whichever reference is in use.
    recorded: Option<RecordedOptimum>,
    /// The fingerprint of the reference in use.
    reference: String,
    /// Whether the recorded curve is that reference's.
    is_recorded: bool,
}

impl Optimum {
    pub(super) fn new(prompts: usize, recorded: Option<RecordedOptimum>, reference: &Checkpoint) -> Self {
        let mut new = Self {
            samples: vec![Vec::new(); prompts],
            pieces: 0,
            recorded,
            reference: String::new(),
            is_recorded: false,
        };
        new.adopt(reference);
        new
    }

    /// Begins anew for this reference.
    pub(super) fn adopt(&mut self, reference: &Checkpoint) {
        self.reference = reference.fingerprint();
        self.is_recorded = self.recorded.as_ref().is_some_and(|it| it.reference == self.reference);
        self.restart();
    }

    pub(super) fn restart(&mut self) {
        self.samples.iter_mut().for_each(Vec::clear);
        self.pieces = 0;
    }

    /// The recorded curve as the file that a session begins with; empty where there is none.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.recorded.as_ref().map_or_else(Vec::new, |recorded| recorded.to_json().into_bytes())
    }
}

impl<K: Kernels> Models<K> {
    /// The fingerprint of the reference in use.
    pub fn reference_fingerprint(&self) -> &str {
        &self.optimum.reference
    }

    pub fn optimum_is_complete(&self) -> bool {
        let (done, total) = self.optimum_progress();
        done == total
    }

    /// Pieces done and pieces in all: none where the curve is recorded.
    pub fn optimum_progress(&self) -> (usize, usize) {
        let samples = if self.optimum.is_recorded { 0 } else { self.optimum.samples.len() * SAMPLES };
        (self.optimum.pieces, samples.div_ceil(PIECE))
    }

    /// Takes one more piece of reference samples.
    pub async fn sample_optimum(&mut self, k: &mut K) -> Result<(), BackendError> {
        let prompts = self.world.held_out_prompts();
        let first = self.optimum.pieces * PIECE;
        let turn = |i: usize| (first + i) % prompts.len();
        let slices: Vec<&[u32]> = (0..PIECE).map(|i| prompts[turn(i)].as_slice()).collect();
        let mut generator = Generator::numbered(u64::from(self.settings.seed), "optimum", self.optimum.pieces as u64);
        let coins = generator.coins(self.sampler.coins());
        let sequences = self.sampler.generate(k, &self.reference, &slices, &coins, at_temperature_1()).await?;
        for (i, sequence) in sequences.iter().enumerate() {
            let gold_reward = self.world.gold_reward(&sequence.tokens);
            let worth = Worth::of_gold(gold_reward, self.settings.label_temperature);
            self.optimum.samples[turn(i)].push(OptimumSample::of_reference(worth));
        }
        self.optimum.pieces += 1;
        Ok(())
    }

    /// The optimum of the samples so far.
    pub fn optimum_curve(&self) -> Vec<OptimumPoint> {
        optimum_curve(&self.optimum.samples)
    }

    /// The recorded curve, if it is that of the reference in use.
    pub fn recorded_optimum(&self) -> Option<Vec<OptimumPoint>> {
        let recorded = self.optimum.recorded.as_ref().filter(|_| self.optimum.is_recorded)?;
        Some(recorded.curve(self.settings.label_temperature))
    }
}
