//! The CPU backend: every shader's twin, in f32 for the page without a GPU and in f64 for proofs.
//!
//! A twin has its shader's name, its arguments in the same order, and computes the same numbers in the plainest loop
//! that is still fast, with room to work in behind them if it needs any; only `product.rs` hands work to a library. Twins are
//! `#[inline(always)]`, so that `wide.rs` can compile them for the vectors of the processor at hand, but for `generate`,
//! which is a list of kernel calls.

mod attention;
mod embedding;
mod factor;
mod generate;
mod layer_norm;
mod logprobs;
mod matmul;
mod optimiser;
mod product;
mod reduce;
mod rollout;
mod sample;
mod tiles;
mod wide;

use std::future::{Future, ready};
use std::ops::Range;

use wide::widest;

use super::{
    AdamwSize, At, AtMut, AttentionSize, BackendError, Counters, DecodeSize, DpoSize, EmbedSize, GenerateSize, Kernels,
    LogitsSize, MatmulSize, MetricsSize, NormSize, PpoSize, SampleSize, SequenceSize,
};
use crate::model::ModelConfig;
use crate::objectives::{self, PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS, PpoPolicyBatch, PpoValueBatch};
use klimb_numerics::real::Real;

/// The CPU backend. Calls compute at once; the counters count what the GPU backend would have been asked for.
#[derive(Debug, Default)]
pub struct Cpu<F> {
    counters: Counters,
    recorded: bool,
    /// What kernels need while they run; it grows to the largest need and stays.
    scratch: Vec<F>,
    real: std::marker::PhantomData<F>,
}

impl<F: Real> Cpu<F> {
    /// A backend that has done nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a kernel and computes it at once.
    fn run(&mut self, kernel: impl FnOnce(&mut Vec<F>)) {
        self.counters.dispatches += 1;
        self.recorded = true;
        let scratch = &mut self.scratch;
        widest(
            #[inline(always)]
            || kernel(scratch),
        );
    }
}

impl<'a, F> At<'a, Vec<F>> {
    /// Everything from the offset on.
    fn slice(self) -> &'a [F] {
        &self.buffer[self.offset..]
    }
}

impl<'a, F> AtMut<'a, Vec<F>> {
    /// Everything from the offset on.
    fn slice(self) -> &'a mut [F] {
        &mut self.buffer[self.offset..]
    }
}

impl<F: Real> Kernels for Cpu<F> {
    type Real = F;
    type Floats = Vec<F>;
    type Integers = Vec<u32>;

    fn floats(&mut self, _label: &'static str, len: usize) -> Vec<F> {
        self.counters.objects += 1;
        vec![F::zero(); len]
    }

    fn integers(&mut self, _label: &'static str, len: usize) -> Vec<u32> {
        self.counters.objects += 1;
        vec![0; len]
    }

    fn write_floats(&mut self, buffer: &mut Vec<F>, offset: usize, values: &[F]) {
        self.counters.writes += 1;
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn write_integers(&mut self, buffer: &mut Vec<u32>, offset: usize, values: &[u32]) {
        self.counters.writes += 1;
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn copy_floats(&mut self, source: &Vec<F>, destination: &mut Vec<F>) {
        destination[..source.len()].copy_from_slice(source);
    }

    fn submit(&mut self) {
        self.counters.submits += u64::from(self.recorded);
        self.recorded = false;
    }

    fn read_floats(
        &mut self,
        buffer: &Vec<F>,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<F>, BackendError>> + 'static + use<F> {
        self.submit();
        self.counters.readbacks += 1;
        ready(Ok(buffer[range].to_vec()))
    }

    fn read_integers(
        &mut self,
        buffer: &Vec<u32>,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<F> {
        self.submit();
        self.counters.readbacks += 1;
        ready(Ok(buffer[range].to_vec()))
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<F> {
        self.submit();
        ready(Ok(()))
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn forget(&mut self) {}

    /// Kernel by kernel is how a processor writes fastest: a matrix product wants many rows.
    fn generates(&self, _model: &ModelConfig, _length: usize) -> bool {
        false
    }

    fn embed_forward(&mut self, size: EmbedSize, tokens: At<Vec<u32>>, parameters: At<Vec<F>>, x: &mut Vec<F>) {
        self.counters.forward_tokens += size.tokens();
        self.run(
            #[inline(always)]
            |_| embedding::embed_forward(size, tokens.slice(), parameters.slice(), x),
        );
    }

    fn embed_backward(&mut self, size: EmbedSize, occurrences: At<Vec<u32>>, dx: &Vec<F>, dparameters: AtMut<Vec<F>>) {
        self.counters.backward_tokens += size.tokens();
        self.run(
            #[inline(always)]
            |_| embedding::embed_backward(size, occurrences.slice(), dx, dparameters.slice()),
        );
    }

    fn layer_norm_forward(
        &mut self,
        size: NormSize,
        x: &Vec<F>,
        weights: At<Vec<F>>,
        out: &mut Vec<F>,
        moments: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| layer_norm::layer_norm_forward(size, x, weights.slice(), out, moments),
        );
    }

    fn layer_norm_backward(
        &mut self,
        size: NormSize,
        x: &Vec<F>,
        weights: At<Vec<F>>,
        moments: &Vec<F>,
        dout: &Vec<F>,
        dx: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| layer_norm::layer_norm_backward(size, x, weights.slice(), moments, dout, dx, scratch),
        );
    }

    fn layer_norm_backward_weights(
        &mut self,
        size: NormSize,
        x: &Vec<F>,
        moments: &Vec<F>,
        dout: &Vec<F>,
        dweights: AtMut<Vec<F>>,
    ) {
        self.run(
            #[inline(always)]
            |_| layer_norm::layer_norm_backward_weights(size, x, moments, dout, dweights.slice()),
        );
    }

    fn matmul_forward(&mut self, size: MatmulSize, x: &Vec<F>, weights: At<Vec<F>>, out: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |scratch| matmul::matmul_forward(size, x, weights.slice(), out, scratch),
        );
    }

    fn matmul_gelu_forward(
        &mut self,
        size: MatmulSize,
        x: &Vec<F>,
        weights: At<Vec<F>>,
        pre: &mut Vec<F>,
        out: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| matmul::matmul_gelu_forward(size, x, weights.slice(), pre, out, scratch),
        );
    }

    fn matmul_residual_forward(
        &mut self,
        size: MatmulSize,
        x: &Vec<F>,
        weights: At<Vec<F>>,
        residual: &Vec<F>,
        out: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| matmul::matmul_residual_forward(size, x, weights.slice(), residual, out, scratch),
        );
    }

    fn matmul_backward_input(&mut self, size: MatmulSize, dout: &Vec<F>, weights: At<Vec<F>>, dx: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |scratch| matmul::matmul_backward_input(size, dout, weights.slice(), dx, scratch),
        );
    }

    fn matmul_gelu_backward_input(
        &mut self,
        size: MatmulSize,
        dout: &Vec<F>,
        weights: At<Vec<F>>,
        pre: &Vec<F>,
        dpre: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| matmul::matmul_gelu_backward_input(size, dout, weights.slice(), pre, dpre, scratch),
        );
    }

    fn matmul_backward_weights(&mut self, size: MatmulSize, x: &Vec<F>, dout: &Vec<F>, dweights: AtMut<Vec<F>>) {
        self.run(
            #[inline(always)]
            |_| matmul::matmul_backward_weights(size, x, dout, dweights.slice()),
        );
    }

    fn attention_forward(&mut self, size: AttentionSize, qkv: &Vec<F>, out: &mut Vec<F>, logsumexps: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |scratch| attention::attention_forward(size, qkv, out, logsumexps, scratch),
        );
    }

    fn attention_backward(
        &mut self,
        size: AttentionSize,
        qkv: &Vec<F>,
        out: &Vec<F>,
        logsumexps: &Vec<F>,
        dout: &Vec<F>,
        dqkv: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| attention::attention_backward(size, qkv, out, logsumexps, dout, dqkv, scratch),
        );
    }

    fn attention_decode_forward(&mut self, size: DecodeSize, qkv: &Vec<F>, cache: &mut Vec<F>, out: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |scratch| attention::attention_decode_forward(size, qkv, cache, out, scratch),
        );
    }

    fn logprobs_forward(&mut self, size: LogitsSize, logits: &Vec<F>, targets: At<Vec<u32>>, numbers: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |scratch| logprobs::logprobs_forward(size, logits, targets.slice(), numbers, scratch),
        );
    }

    fn logprobs_backward(
        &mut self,
        size: LogitsSize,
        targets: At<Vec<u32>>,
        numbers: &Vec<F>,
        dnumbers: &Vec<F>,
        logits: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| logprobs::logprobs_backward(size, targets.slice(), numbers, dnumbers, logits),
        );
    }

    fn kl_forward(
        &mut self,
        size: LogitsSize,
        policy_logits: &Vec<F>,
        reference_logits: &Vec<F>,
        kl_per_token: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| logprobs::kl_forward(size, policy_logits, reference_logits, kl_per_token, scratch),
        );
    }

    fn sequence_logprobs_forward(
        &mut self,
        size: SequenceSize,
        logprobs: &Vec<F>,
        completion_mask: At<Vec<F>>,
        sequence_logprobs: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| logprobs::sequence_logprobs_forward(size, logprobs, completion_mask.slice(), sequence_logprobs),
        );
    }

    fn sequence_logprobs_backward(
        &mut self,
        size: SequenceSize,
        dsequence_logprobs: &Vec<F>,
        completion_mask: At<Vec<F>>,
        dlogprobs: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| logprobs::sequence_logprobs_backward(size, dsequence_logprobs, completion_mask.slice(), dlogprobs),
        );
    }

    fn sft(
        &mut self,
        rows: usize,
        logprobs: &Vec<F>,
        weights: At<Vec<F>>,
        dlogprobs: &mut Vec<F>,
        statistics: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| {
                let weights = &weights.slice()[..rows];
                objectives::sft(&logprobs[..rows], weights, &mut dlogprobs[..rows], &mut statistics[..rows]);
            },
        );
    }

    fn dpo(
        &mut self,
        size: DpoSize,
        sequence_logprobs: &Vec<F>,
        references: At<Vec<F>>,
        settings: At<Vec<F>>,
        dsequence_logprobs: &mut Vec<F>,
        statistics: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| {
                let (beta, label_smoothing) = (settings.slice()[0], settings.slice()[1]);
                let pairs = size.pairs;
                objectives::dpo(
                    size.loss,
                    beta,
                    label_smoothing,
                    &sequence_logprobs[..2 * pairs],
                    &references.slice()[..2 * pairs],
                    &mut dsequence_logprobs[..2 * pairs],
                    &mut statistics[..6 * pairs],
                );
            },
        );
    }

    fn unlikelihood(
        &mut self,
        pairs: usize,
        sequence_logprobs: &Vec<F>,
        settings: At<Vec<F>>,
        dsequence_logprobs: &mut Vec<F>,
        statistics: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| {
                objectives::unlikelihood(
                    settings.slice()[0],
                    &sequence_logprobs[..2 * pairs],
                    &mut dsequence_logprobs[..2 * pairs],
                    &mut statistics[..4 * pairs],
                );
            },
        );
    }

    fn ppo_policy(
        &mut self,
        size: PpoSize,
        numbers: &Vec<F>,
        weights: At<Vec<F>>,
        rollout: At<Vec<F>>,
        settings: At<Vec<F>>,
        dnumbers: &mut Vec<F>,
        statistics: AtMut<Vec<F>>,
    ) {
        let PpoSize { rows, first, stride } = size;
        let (rollout, settings) = (rollout.slice(), settings.slice());
        let batch = PpoPolicyBatch {
            weights: &weights.slice()[..rows],
            logprobs: &numbers[first..first + rows],
            entropies: &numbers[stride + first..][..rows],
            old_logprobs: &rollout[..rows],
            advantages: &rollout[rows..2 * rows],
        };
        let (dlogprobs, dentropies) = dnumbers.split_at_mut(stride);
        let gradients = (&mut dlogprobs[first..first + rows], &mut dentropies[first..first + rows]);
        let statistics = &mut statistics.slice()[..PPO_POLICY_COLUMNS * rows];
        self.run(
            #[inline(always)]
            |_| objectives::ppo_policy(settings[0], settings[1], batch, gradients.0, gradients.1, statistics),
        );
    }

    fn ppo_value(
        &mut self,
        size: PpoSize,
        values: &Vec<F>,
        weights: At<Vec<F>>,
        rollout: At<Vec<F>>,
        settings: At<Vec<F>>,
        dvalues: &mut Vec<F>,
        statistics: AtMut<Vec<F>>,
    ) {
        let PpoSize { rows, first, .. } = size;
        let (rollout, settings) = (rollout.slice(), settings.slice());
        let batch = PpoValueBatch {
            weights: &weights.slice()[..rows],
            values: &values[first..first + rows],
            old_values: &rollout[..rows],
            returns: &rollout[rows..2 * rows],
        };
        let statistics = &mut statistics.slice()[..PPO_VALUE_COLUMNS * rows];
        let dvalues = &mut dvalues[first..first + rows];
        self.run(
            #[inline(always)]
            |_| objectives::ppo_value(settings[0], settings[1], batch, dvalues, statistics),
        );
    }

    fn record_rollout(
        &mut self,
        rows: usize,
        tokens: &Vec<u32>,
        numbers: &Vec<F>,
        reference_numbers: &Vec<F>,
        kl_per_token: &Vec<F>,
        values: &Vec<F>,
        scores: &Vec<F>,
        record: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| rollout::record_rollout(rows, tokens, numbers, reference_numbers, kl_per_token, values, scores, record),
        );
    }

    fn bradley_terry(&mut self, pairs: usize, scores: &Vec<F>, dscores: &mut Vec<F>, statistics: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |_| {
                let (dscores, statistics) = (&mut dscores[..2 * pairs], &mut statistics[..4 * pairs]);
                objectives::bradley_terry(&scores[..2 * pairs], dscores, statistics);
            },
        );
    }

    fn squared_norm(&mut self, len: usize, values: &Vec<F>, partials: &mut Vec<F>) {
        self.run(
            #[inline(always)]
            |_| optimiser::squared_norm(len, values, partials),
        );
    }

    fn record_metrics(
        &mut self,
        size: MetricsSize,
        statistics: &Vec<F>,
        partials: &Vec<F>,
        settings: At<Vec<F>>,
        metrics: &mut Vec<F>,
    ) {
        self.run(
            #[inline(always)]
            |_| optimiser::record_metrics(size, statistics, partials, settings.slice(), metrics),
        );
    }

    fn adamw(
        &mut self,
        size: AdamwSize,
        settings: At<Vec<F>>,
        partials: &Vec<F>,
        parameters: &mut Vec<F>,
        gradients: &mut Vec<F>,
        moments: (&mut Vec<F>, &mut Vec<F>),
    ) {
        self.run(
            #[inline(always)]
            |_| optimiser::adamw(size, settings.slice(), partials, parameters, gradients, moments),
        );
    }

    fn sample(
        &mut self,
        size: SampleSize,
        logits: &Vec<F>,
        coins: At<Vec<F>>,
        settings: At<Vec<F>>,
        prompt_lengths: At<Vec<u32>>,
        tokens: &mut Vec<u32>,
    ) {
        self.run(
            #[inline(always)]
            |scratch| {
                sample::sample(size, logits, coins.slice(), settings.slice(), prompt_lengths.slice(), tokens, scratch)
            },
        );
    }

    fn generate(
        &mut self,
        size: GenerateSize,
        parameters: &Vec<F>,
        coins: At<Vec<F>>,
        settings: At<Vec<F>>,
        prompt_lengths: &Vec<u32>,
        cache: &mut Vec<F>,
        tokens: &mut Vec<u32>,
    ) {
        let before = self.counters;
        generate::generate(self, size, parameters, coins, settings, prompt_lengths, cache, tokens);
        self.counters = Counters {
            dispatches: before.dispatches + 1,
            forward_tokens: before.forward_tokens + size.tokens(),
            ..before
        };
    }
}
