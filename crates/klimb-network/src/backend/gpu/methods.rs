//! The trait's methods: each passes its sizes as a uniform block, its buffers in the order of the table's row, and how
//! many items there are.

use std::future::Future;
use std::ops::Range;

use super::kernels::{WEIGHTS_EDGE, edge, shares};
use super::storage::Stored;
use super::{Gpu, GpuFloats, GpuIntegers};
use crate::backend::{
    AdamwSize, At, AtMut, AttentionSize, BackendError, Counters, DecodeSize, DpoSize, EmbedSize, GenerateSize, Kernels,
    LogitsSize, MatmulSize, MetricsSize, NORM_PARTIALS, NormSize, PpoSize, SampleSize, SequenceSize,
};
use crate::model::ModelConfig;

/// Sizes as the uniform block has them.
fn words<const N: usize>(sizes: [usize; N]) -> [u32; N] {
    sizes.map(|size| u32::try_from(size).expect("a size beyond 32 bits"))
}

/// Tiles of outputs that cover a matrix, one for each invocation.
fn tiles(rows: usize, columns: usize, edge: usize) -> usize {
    rows.div_ceil(edge) * columns.div_ceil(edge)
}

/// The kernels of the hidden layer have no other way than by fours: its maps are D×4D and back.
fn assert_in_fours(size: MatmulSize, weights_offset: usize) {
    let in_fours = [size.inner, size.columns, weights_offset].iter().all(|number| number.is_multiple_of(4));
    assert!(in_fours, "{size:?} at {weights_offset}: no multiples of 4");
}

impl EmbedSize {
    fn words(self, tokens_offset: usize, parameters_offset: usize) -> [u32; 9] {
        let Self { batch, length, stride, first, width, vocabulary, context } = self;
        words([batch, length, stride, first, width, vocabulary, context, tokens_offset, parameters_offset])
    }
}

impl NormSize {
    fn words(self, weights_offset: usize) -> [u32; 4] {
        let in_fours = self.width.is_multiple_of(4) && weights_offset.is_multiple_of(4);
        assert!(in_fours, "norm: a width of {} at {weights_offset}, no multiples of 4", self.width);
        words([self.rows, self.width, usize::from(self.accumulate), weights_offset])
    }
}

impl MatmulSize {
    fn words(self, weights_offset: usize) -> [u32; 5] {
        words([self.rows, self.inner, self.columns, usize::from(self.bias), weights_offset])
    }
}

impl AttentionSize {
    fn words(self) -> [u32; 4] {
        words([self.batch, self.length, self.heads, self.head_width])
    }

    /// Pairs of rows, with a head and eight of its channels.
    fn places(self) -> usize {
        self.batch * self.length.div_ceil(2) * self.heads * self.head_width.div_ceil(8)
    }
}

impl PpoSize {
    /// `offsets`: of weights, rollout, settings and statistics.
    fn words(self, offsets: [usize; 4]) -> [u32; 7] {
        let [weights, rollout, settings, statistics] = offsets;
        words([self.rows, self.first, self.stride, weights, rollout, settings, statistics])
    }
}

impl Gpu {
    /// Dispatches a product of `size.rows` rows and `columns` columns of outputs.
    fn product(
        &mut self,
        name: &'static str,
        size: MatmulSize,
        columns: usize,
        weights_offset: usize,
        buffers: &[&Stored],
    ) {
        let items = [tiles(size.rows, columns, edge(self.recorder.is_software())), 1];
        self.recorder.dispatch(name, &size.words(weights_offset), buffers, items);
    }
}

impl Kernels for Gpu {
    type Real = f32;
    type Floats = GpuFloats;
    type Integers = GpuIntegers;

    fn floats(&mut self, label: &'static str, len: usize) -> GpuFloats {
        GpuFloats(self.storage.create(&mut self.recorder, label, len))
    }

    fn integers(&mut self, label: &'static str, len: usize) -> GpuIntegers {
        GpuIntegers(self.storage.create(&mut self.recorder, label, len))
    }

    fn write_floats(&mut self, buffer: &mut GpuFloats, offset: usize, values: &[f32]) {
        self.recorder.write(&buffer.0.buffer, 4 * offset, bytemuck::cast_slice(values));
    }

    fn write_integers(&mut self, buffer: &mut GpuIntegers, offset: usize, values: &[u32]) {
        self.recorder.write(&buffer.0.buffer, 4 * offset, bytemuck::cast_slice(values));
    }

    fn copy_floats(&mut self, source: &GpuFloats, destination: &mut GpuFloats) {
        assert!(source.0.len <= destination.0.len, "copy of {} floats into {}", source.0.len, destination.0.len);
        self.recorder.copy((&source.0.buffer, 0), &destination.0.buffer, 4 * source.0.len);
    }

    fn submit(&mut self) {
        self.recorder.submit();
    }

    fn read_floats(
        &mut self,
        buffer: &GpuFloats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        self.storage.read(&mut self.recorder, &buffer.0, range)
    }

    fn read_integers(
        &mut self,
        buffer: &GpuIntegers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        self.storage.read(&mut self.recorder, &buffer.0, range)
    }

    fn failure(&self) -> Option<BackendError> {
        self.storage.failure()
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        self.storage.finished(&mut self.recorder)
    }

    fn counters(&self) -> Counters {
        self.recorder.counters
    }

    fn forget(&mut self) {
        self.recorder.forget();
    }

    /// On a card so small a dispatch takes as long as it takes to launch, so one for all positions is fastest; an adapter
    /// that a processor plays launches quickly, but pays for every barrier.
    fn generates(&self, model: &ModelConfig, length: usize) -> bool {
        !self.recorder.is_software() && has_room(model, length)
    }

    fn embed_forward(
        &mut self,
        size: EmbedSize,
        tokens: At<GpuIntegers>,
        parameters: At<GpuFloats>,
        x: &mut GpuFloats,
    ) {
        let uniforms = size.words(tokens.offset, parameters.offset);
        let items = size.batch * size.length * size.width;
        self.recorder.counters.forward_tokens += size.tokens();
        self.recorder.dispatch("embed_forward", &uniforms, &[&tokens.buffer.0, &parameters.buffer.0, &x.0], [items, 1]);
    }

    fn embed_backward(
        &mut self,
        size: EmbedSize,
        occurrences: At<GpuIntegers>,
        dx: &GpuFloats,
        dparameters: AtMut<GpuFloats>,
    ) {
        let uniforms = size.words(occurrences.offset, dparameters.offset);
        let buffers = [&occurrences.buffer.0, &dx.0, &dparameters.buffer.0];
        let items = (size.vocabulary + size.length) * size.width;
        self.recorder.counters.backward_tokens += size.tokens();
        self.recorder.dispatch("embed_backward", &uniforms, &buffers, [items, 1]);
    }

    fn layer_norm_forward(
        &mut self,
        size: NormSize,
        x: &GpuFloats,
        weights: At<GpuFloats>,
        out: &mut GpuFloats,
        moments: &mut GpuFloats,
    ) {
        let uniforms = size.words(weights.offset);
        let buffers = [&x.0, &weights.buffer.0, &out.0, &moments.0];
        self.recorder.dispatch("layer_norm_forward", &uniforms, &buffers, [size.rows, 1]);
    }

    fn layer_norm_backward(
        &mut self,
        size: NormSize,
        x: &GpuFloats,
        weights: At<GpuFloats>,
        moments: &GpuFloats,
        dout: &GpuFloats,
        dx: &mut GpuFloats,
    ) {
        let uniforms = size.words(weights.offset);
        let buffers = [&x.0, &weights.buffer.0, &moments.0, &dout.0, &dx.0];
        self.recorder.dispatch("layer_norm_backward", &uniforms, &buffers, [size.rows, 1]);
    }

    fn layer_norm_backward_weights(
        &mut self,
        size: NormSize,
        x: &GpuFloats,
        moments: &GpuFloats,
        dout: &GpuFloats,
        dweights: AtMut<GpuFloats>,
    ) {
        let uniforms = size.words(dweights.offset);
        let buffers = [&x.0, &moments.0, &dout.0, &dweights.buffer.0];
        self.recorder.dispatch("layer_norm_backward_weights", &uniforms, &buffers, [size.width, 1]);
    }

    fn matmul_forward(&mut self, size: MatmulSize, x: &GpuFloats, weights: At<GpuFloats>, out: &mut GpuFloats) {
        let buffers = [&x.0, &weights.buffer.0, &out.0];
        self.product("matmul_forward", size, size.columns, weights.offset, &buffers);
    }

    fn matmul_gelu_forward(
        &mut self,
        size: MatmulSize,
        x: &GpuFloats,
        weights: At<GpuFloats>,
        pre: &mut GpuFloats,
        out: &mut GpuFloats,
    ) {
        assert_in_fours(size, weights.offset);
        let buffers = [&x.0, &weights.buffer.0, &pre.0, &out.0];
        self.product("matmul_gelu_forward", size, size.columns, weights.offset, &buffers);
    }

    fn matmul_residual_forward(
        &mut self,
        size: MatmulSize,
        x: &GpuFloats,
        weights: At<GpuFloats>,
        residual: &GpuFloats,
        out: &mut GpuFloats,
    ) {
        let buffers = [&x.0, &weights.buffer.0, &residual.0, &out.0];
        self.product("matmul_residual_forward", size, size.columns, weights.offset, &buffers);
    }

    fn matmul_backward_input(
        &mut self,
        size: MatmulSize,
        dout: &GpuFloats,
        weights: At<GpuFloats>,
        dx: &mut GpuFloats,
    ) {
        let buffers = [&dout.0, &weights.buffer.0, &dx.0];
        self.product("matmul_backward_input", size, size.inner, weights.offset, &buffers);
    }

    fn matmul_gelu_backward_input(
        &mut self,
        size: MatmulSize,
        dout: &GpuFloats,
        weights: At<GpuFloats>,
        pre: &GpuFloats,
        dpre: &mut GpuFloats,
    ) {
        assert_in_fours(size, weights.offset);
        let buffers = [&dout.0, &weights.buffer.0, &pre.0, &dpre.0];
        self.product("matmul_gelu_backward_input", size, size.inner, weights.offset, &buffers);
    }

    fn matmul_backward_weights(
        &mut self,
        size: MatmulSize,
        x: &GpuFloats,
        dout: &GpuFloats,
        dweights: AtMut<GpuFloats>,
    ) {
        let items = tiles(size.inner, size.columns, WEIGHTS_EDGE) * shares(self.recorder.is_software());
        let buffers = [&x.0, &dout.0, &dweights.buffer.0];
        self.recorder.dispatch("matmul_backward_weights", &size.words(dweights.offset), &buffers, [items, 1]);
    }

    fn attention_forward(
        &mut self,
        size: AttentionSize,
        qkv: &GpuFloats,
        out: &mut GpuFloats,
        logsumexps: &mut GpuFloats,
    ) {
        let buffers = [&qkv.0, &out.0, &logsumexps.0];
        self.recorder.dispatch("attention_forward", &size.words(), &buffers, [size.places(), 1]);
    }

    fn attention_backward(
        &mut self,
        size: AttentionSize,
        qkv: &GpuFloats,
        out: &GpuFloats,
        logsumexps: &GpuFloats,
        dout: &GpuFloats,
        dqkv: &mut GpuFloats,
    ) {
        let buffers = [&qkv.0, &out.0, &logsumexps.0, &dout.0, &dqkv.0];
        self.recorder.dispatch("attention_backward", &size.words(), &buffers, [2 * size.places(), 1]);
    }

    fn attention_decode_forward(
        &mut self,
        size: DecodeSize,
        qkv: &GpuFloats,
        cache: &mut GpuFloats,
        out: &mut GpuFloats,
    ) {
        assert!(size.position < size.capacity, "position {} of a cache of {}", size.position, size.capacity);
        let uniforms = words([size.batch, size.position, size.capacity, size.heads, size.head_width]);
        let buffers = [&qkv.0, &cache.0, &out.0];
        self.recorder.dispatch("attention_decode_forward", &uniforms, &buffers, [size.batch * size.heads, 1]);
    }

    fn logprobs_forward(
        &mut self,
        size: LogitsSize,
        logits: &GpuFloats,
        targets: At<GpuIntegers>,
        numbers: &mut GpuFloats,
    ) {
        let uniforms = words([size.rows, size.vocabulary, targets.offset]);
        let buffers = [&logits.0, &targets.buffer.0, &numbers.0];
        self.recorder.dispatch("logprobs_forward", &uniforms, &buffers, [size.rows, 1]);
    }

    fn logprobs_backward(
        &mut self,
        size: LogitsSize,
        targets: At<GpuIntegers>,
        numbers: &GpuFloats,
        dnumbers: &GpuFloats,
        logits: &mut GpuFloats,
    ) {
        let uniforms = words([size.rows, size.vocabulary, targets.offset]);
        let buffers = [&targets.buffer.0, &numbers.0, &dnumbers.0, &logits.0];
        self.recorder.dispatch("logprobs_backward", &uniforms, &buffers, [16 * size.rows, 1]);
    }

    fn kl_forward(
        &mut self,
        size: LogitsSize,
        policy_logits: &GpuFloats,
        reference_logits: &GpuFloats,
        kl_per_token: &mut GpuFloats,
    ) {
        let uniforms = words([size.rows, size.vocabulary, 0]);
        let buffers = [&policy_logits.0, &reference_logits.0, &kl_per_token.0];
        self.recorder.dispatch("kl_forward", &uniforms, &buffers, [size.rows, 1]);
    }

    fn sequence_logprobs_forward(
        &mut self,
        size: SequenceSize,
        logprobs: &GpuFloats,
        completion_mask: At<GpuFloats>,
        sequence_logprobs: &mut GpuFloats,
    ) {
        let uniforms = words([size.batch, size.length, completion_mask.offset]);
        let buffers = [&logprobs.0, &completion_mask.buffer.0, &sequence_logprobs.0];
        self.recorder.dispatch("sequence_logprobs_forward", &uniforms, &buffers, [size.batch, 1]);
    }

    fn sequence_logprobs_backward(
        &mut self,
        size: SequenceSize,
        dsequence_logprobs: &GpuFloats,
        completion_mask: At<GpuFloats>,
        dlogprobs: &mut GpuFloats,
    ) {
        let uniforms = words([size.batch, size.length, completion_mask.offset]);
        let buffers = [&dsequence_logprobs.0, &completion_mask.buffer.0, &dlogprobs.0];
        self.recorder.dispatch("sequence_logprobs_backward", &uniforms, &buffers, [size.batch * size.length, 1]);
    }

    fn sft(
        &mut self,
        rows: usize,
        logprobs: &GpuFloats,
        weights: At<GpuFloats>,
        dlogprobs: &mut GpuFloats,
        statistics: &mut GpuFloats,
    ) {
        let buffers = [&logprobs.0, &weights.buffer.0, &dlogprobs.0, &statistics.0];
        self.recorder.dispatch("sft", &words([rows, weights.offset]), &buffers, [rows, 1]);
    }

    fn dpo(
        &mut self,
        size: DpoSize,
        sequence_logprobs: &GpuFloats,
        references: At<GpuFloats>,
        settings: At<GpuFloats>,
        dsequence_logprobs: &mut GpuFloats,
        statistics: &mut GpuFloats,
    ) {
        let uniforms = words([size.pairs, size.loss as usize, references.offset, settings.offset]);
        let sources = [&sequence_logprobs.0, &references.buffer.0, &settings.buffer.0];
        let buffers = [sources[0], sources[1], sources[2], &dsequence_logprobs.0, &statistics.0];
        self.recorder.dispatch("dpo", &uniforms, &buffers, [size.pairs, 1]);
    }

    fn unlikelihood(
        &mut self,
        pairs: usize,
        sequence_logprobs: &GpuFloats,
        settings: At<GpuFloats>,
        dsequence_logprobs: &mut GpuFloats,
        statistics: &mut GpuFloats,
    ) {
        let buffers = [&sequence_logprobs.0, &settings.buffer.0, &dsequence_logprobs.0, &statistics.0];
        self.recorder.dispatch("unlikelihood", &words([pairs, settings.offset]), &buffers, [pairs, 1]);
    }

    fn ppo_policy(
        &mut self,
        size: PpoSize,
        numbers: &GpuFloats,
        weights: At<GpuFloats>,
        rollout: At<GpuFloats>,
        settings: At<GpuFloats>,
        dnumbers: &mut GpuFloats,
        statistics: AtMut<GpuFloats>,
    ) {
        let uniforms = size.words([weights.offset, rollout.offset, settings.offset, statistics.offset]);
        let sources = [&numbers.0, &weights.buffer.0, &rollout.buffer.0, &settings.buffer.0];
        let buffers = [sources[0], sources[1], sources[2], sources[3], &dnumbers.0, &statistics.buffer.0];
        self.recorder.dispatch("ppo_policy", &uniforms, &buffers, [size.rows, 1]);
    }

    fn ppo_value(
        &mut self,
        size: PpoSize,
        values: &GpuFloats,
        weights: At<GpuFloats>,
        rollout: At<GpuFloats>,
        settings: At<GpuFloats>,
        dvalues: &mut GpuFloats,
        statistics: AtMut<GpuFloats>,
    ) {
        let uniforms = size.words([weights.offset, rollout.offset, settings.offset, statistics.offset]);
        let sources = [&values.0, &weights.buffer.0, &rollout.buffer.0, &settings.buffer.0];
        let buffers = [sources[0], sources[1], sources[2], sources[3], &dvalues.0, &statistics.buffer.0];
        self.recorder.dispatch("ppo_value", &uniforms, &buffers, [size.rows, 1]);
    }

    fn record_rollout(
        &mut self,
        rows: usize,
        tokens: &GpuIntegers,
        numbers: &GpuFloats,
        reference_numbers: &GpuFloats,
        kl_per_token: &GpuFloats,
        values: &GpuFloats,
        scores: &GpuFloats,
        record: &mut GpuFloats,
    ) {
        let sources = [&numbers.0, &reference_numbers.0, &kl_per_token.0, &values.0, &scores.0];
        let buffers = [&tokens.0, sources[0], sources[1], sources[2], sources[3], sources[4], &record.0];
        self.recorder.dispatch("record_rollout", &words([rows]), &buffers, [rows, 1]);
    }

    fn bradley_terry(&mut self, pairs: usize, scores: &GpuFloats, dscores: &mut GpuFloats, statistics: &mut GpuFloats) {
        let buffers = [&scores.0, &dscores.0, &statistics.0];
        self.recorder.dispatch("bradley_terry", &words([pairs]), &buffers, [pairs, 1]);
    }

    fn squared_norm(&mut self, len: usize, values: &GpuFloats, partials: &mut GpuFloats) {
        self.recorder.dispatch("squared_norm", &words([len]), &[&values.0, &partials.0], [NORM_PARTIALS, 1]);
    }

    fn record_metrics(
        &mut self,
        size: MetricsSize,
        statistics: &GpuFloats,
        partials: &GpuFloats,
        settings: At<GpuFloats>,
        metrics: &mut GpuFloats,
    ) {
        let uniforms = words([size.items, size.columns, size.partials, settings.offset]);
        let buffers = [&statistics.0, &partials.0, &settings.buffer.0, &metrics.0];
        self.recorder.dispatch("record_metrics", &uniforms, &buffers, [1, 1]);
    }

    fn adamw(
        &mut self,
        size: AdamwSize,
        settings: At<GpuFloats>,
        partials: &GpuFloats,
        parameters: &mut GpuFloats,
        gradients: &mut GpuFloats,
        moments: (&mut GpuFloats, &mut GpuFloats),
    ) {
        let [len, partial_count, settings_offset] = words([size.len, size.partials, settings.offset]);
        let AdamwSize { beta1, beta2, epsilon, weight_decay, max_norm, .. } = size;
        // WGSL knows no infinity; no finite norm exceeds the largest f32 either.
        let [beta1, beta2, epsilon, weight_decay, max_norm] =
            [beta1, beta2, epsilon, weight_decay, max_norm.min(f32::MAX)].map(f32::to_bits);
        let uniforms = [len, partial_count, beta1, beta2, epsilon, weight_decay, max_norm, settings_offset];
        let buffers = [&settings.buffer.0, &partials.0, &parameters.0, &gradients.0, &moments.0.0, &moments.1.0];
        self.recorder.dispatch("adamw", &uniforms, &buffers, [size.len, 1]);
    }

    fn sample(
        &mut self,
        size: SampleSize,
        logits: &GpuFloats,
        coins: At<GpuFloats>,
        settings: At<GpuFloats>,
        prompt_lengths: At<GpuIntegers>,
        tokens: &mut GpuIntegers,
    ) {
        assert!(size.position + 1 < size.length, "no token behind position {} of {}", size.position, size.length);
        let [batch, length, position, vocabulary, coins_offset, settings_offset, prompt_lengths_offset] = words([
            size.batch,
            size.length,
            size.position,
            size.vocabulary,
            coins.offset,
            settings.offset,
            prompt_lengths.offset,
        ]);
        let SampleSize { end, padding, .. } = size;
        let sizes = [batch, length, position, vocabulary, end, padding];
        let offsets = [coins_offset, settings_offset, prompt_lengths_offset];
        let buffers = [&logits.0, &coins.buffer.0, &settings.buffer.0, &prompt_lengths.buffer.0, &tokens.0];
        self.recorder.dispatch("sample", &[&sizes[..], &offsets].concat(), &buffers, [size.batch, 1]);
    }

    fn generate(
        &mut self,
        size: GenerateSize,
        parameters: &GpuFloats,
        coins: At<GpuFloats>,
        settings: At<GpuFloats>,
        prompt_lengths: &GpuIntegers,
        cache: &mut GpuFloats,
        tokens: &mut GpuIntegers,
    ) {
        let GenerateSize { batch, length, model, end, padding } = size;
        assert!(has_room(&model, length), "generate: no room for {model:?} and {length} tokens");
        self.recorder.counters.forward_tokens += size.tokens();
        let ModelConfig { vocabulary, context, width, layers, heads, own_unembedding } = model;
        let sizes = words([batch, length, vocabulary, context, width, layers, heads, usize::from(own_unembedding)]);
        let offsets = words([coins.offset, settings.offset]);
        let uniforms = [&sizes[..], &[end, padding], &offsets].concat();
        let (coins, settings) = (&coins.buffer.0, &settings.buffer.0);
        let buffers = [&parameters.0, coins, settings, &prompt_lengths.0, &cache.0, &tokens.0];
        self.recorder.dispatch("generate", &uniforms, &buffers, [batch, 1]);
    }
}

/// Whether the workgroup memory of `generate` is enough, there is an invocation for each token of the vocabulary, and all it
/// reads lies in fours.
fn has_room(model: &ModelConfig, length: usize) -> bool {
    let ModelConfig { vocabulary, width, heads, .. } = *model;
    width <= 256 && vocabulary <= 256 && heads * length <= 1024 && model.head_width().is_multiple_of(4)
}
