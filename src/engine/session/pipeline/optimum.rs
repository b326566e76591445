//! Samples of the reference behind the closed-form optimum, piece by piece.

use super::{PIECE, Pipeline, at_temperature_1};
use crate::backend::{BackendError, Kernels};
use crate::experiments::{OptimumSample, optimum_curve};
use crate::metrics::OptimumPoint;
use crate::rng::Generator;

/// Samples of the reference per held-out prompt.
const SAMPLES: usize = 1024;

/// What has been sampled so far, prompt by prompt.
pub(super) struct Optimum {
    samples: Vec<Vec<OptimumSample>>,
    pieces: usize,
}

impl Optimum {
    pub(super) fn new(prompts: usize) -> Self {
        Self { samples: vec![Vec::new(); prompts], pieces: 0 }
    }

    pub(super) fn restart(&mut self) {
        *self = Self::new(self.samples.len());
    }
}

impl<K: Kernels> Pipeline<K> {
    pub fn optimum_is_complete(&self) -> bool {
        let (done, total) = self.optimum_progress();
        done == total
    }

    /// Pieces done and pieces in all.
    pub fn optimum_progress(&self) -> (usize, usize) {
        (self.optimum.pieces, (self.optimum.samples.len() * SAMPLES).div_ceil(PIECE))
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
            self.optimum.samples[turn(i)].push(OptimumSample { gold_reward, log_weight: 0.0 });
        }
        self.optimum.pieces += 1;
        Ok(())
    }

    pub fn optimum_curve(&self) -> Vec<OptimumPoint> {
        optimum_curve(&self.optimum.samples, self.settings.label_temperature)
    }
}
