//! The narrow waist between the network and the machine: storage, and one method per shader entry point.
//!
//! A kernel call on the GPU is only *recorded*; [`Kernels::submit`] sends everything recorded so far at once, and a
//! read is the only thing that waits. On the CPU a call computes at once and `submit` does nothing. All matrices are
//! row-major. "Write" replaces what the output held, "Add" adds to it. Gradients of parameters are always Add;
//! [`Kernels::adamw`] leaves them at zero.

use std::future::Future;
use std::ops::Range;

use thiserror::Error;

use super::sizes::*;
use crate::model::ModelConfig;
use klimb_numerics::real::Real;

/// What can go wrong below the network. A wrong shape is not here: that is a bug, and asserts.
#[derive(Debug, Clone, Error)]
pub enum BackendError {
    /// The machine offers no WebGPU, Vulkan, Metal or DirectX 12 adapter.
    #[error("no graphics adapter was found ({0}); the CPU backend works everywhere")]
    NoAdapter(String),
    /// The adapter refused a device with WebGPU's default limits.
    #[error("the graphics adapter {adapter} gave no device: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device went away: driver reset, unplugged, or the tab was put to sleep.
    #[error("the graphics device was lost ({0}); training can go on from the last snapshot, on the CPU if need be")]
    DeviceLost(String),
    /// The device refused a command: it ran out of memory, or Klimb asked for something invalid.
    #[error("the graphics device refused a command ({0}); a smaller batch or the CPU backend may help")]
    Refused(String),
    /// The device answered with what is no number, where nothing else would tell of it.
    #[error("the device computed a log-probability that is not finite; what it was of has been left out")]
    NotFinite,
    /// A result could not be copied back.
    #[error("a result could not be read back from the graphics device: {0}")]
    Readback(String),
}

/// A buffer from `offset` on: several tensors share one buffer, and a kernel is told where its own begins.
#[derive(Debug)]
pub struct At<'a, B> {
    /// The whole buffer.
    pub buffer: &'a B,
    /// First element, not byte.
    pub offset: usize,
}

impl<B> Clone for At<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for At<'_, B> {}

impl<'a, B> At<'a, B> {
    /// `buffer` from element `offset` on.
    pub fn new(buffer: &'a B, offset: usize) -> Self {
        Self { buffer, offset }
    }
}

/// A buffer to be added to, from `offset` on.
#[derive(Debug)]
pub struct AtMut<'a, B> {
    /// The whole buffer.
    pub buffer: &'a mut B,
    /// First element, not byte.
    pub offset: usize,
}

impl<'a, B> AtMut<'a, B> {
    /// `buffer` from element `offset` on.
    pub fn new(buffer: &'a mut B, offset: usize) -> Self {
        Self { buffer, offset }
    }
}

/// Partial sums [`Kernels::squared_norm`] writes.
pub const NORM_PARTIALS: usize = 64;

/// How often the machine was asked for something, since the backend was made. The CPU counts kernel calls as dispatches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels run.
    pub dispatches: u64,
    /// Command buffers sent.
    pub submits: u64,
    /// Results copied back.
    pub readbacks: u64,
    /// Host-to-device writes.
    pub writes: u64,
    /// Buffers and bind groups created.
    pub objects: u64,
    /// Positions that entered a network: every forward pass embeds its tokens once, padding included.
    pub forward_tokens: u64,
    /// Positions whose gradient left a network: every backward pass ends at the embedding.
    pub backward_tokens: u64,
}

/// Storage and kernels. See the module's words on recording, Write and Add.
pub trait Kernels: 'static {
    /// What parameters and activations are made of: f32, or f64 for proofs on the CPU.
    type Real: Real;
    /// A buffer of reals.
    type Floats;
    /// A buffer of tokens, positions or lengths.
    type Integers;

    /// A zeroed buffer of `len` reals.
    fn floats(&mut self, label: &'static str, len: usize) -> Self::Floats;
    /// A zeroed buffer of `len` integers.
    fn integers(&mut self, label: &'static str, len: usize) -> Self::Integers;
    /// Replaces elements from `offset` on. What was recorded before sees the old values.
    fn write_floats(&mut self, buffer: &mut Self::Floats, offset: usize, values: &[Self::Real]);
    /// Replaces elements from `offset` on. What was recorded before sees the old values.
    fn write_integers(&mut self, buffer: &mut Self::Integers, offset: usize, values: &[u32]);
    /// Copies all of `source` over the beginning of `destination`, in order with the kernels.
    fn copy_floats(&mut self, source: &Self::Floats, destination: &mut Self::Floats);
    /// Sends what was recorded. Does not wait.
    fn submit(&mut self);
    /// The values of `range` once everything recorded so far has run (it is submitted). The future borrows nothing:
    /// more can be recorded before it is awaited.
    fn read_floats(
        &mut self,
        buffer: &Self::Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<Self::Real>, BackendError>> + 'static + use<Self>;
    /// Like [`Kernels::read_floats`].
    fn read_integers(
        &mut self,
        buffer: &Self::Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<Self>;
    /// Resolves when everything recorded so far has run (it is submitted). Copies nothing back, and borrows nothing.
    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<Self>;
    /// What the device has told of itself: that it is lost, or refuses all that comes. A read may fail before that is told.
    fn failure(&self) -> Option<BackendError> {
        None
    }
    /// Counts since the backend was made.
    fn counters(&self) -> Counters;
    /// Forgets what was remembered about buffers that are no longer used. Call after dropping a network.
    fn forget(&mut self);

    /// Whether [`Kernels::generate`] has room for such sequences and is how this device writes them fastest.
    fn generates(&self, model: &ModelConfig, length: usize) -> bool;

    // embedding.wgsl

    /// Write: `x[b,t] = wte[token] + wpe[first + t]`, x of (B·T, D). `parameters` begins at `wte`.
    fn embed_forward(
        &mut self,
        size: EmbedSize,
        tokens: At<Self::Integers>,
        parameters: At<Self::Floats>,
        x: &mut Self::Floats,
    );
    /// Add: the gradients of `wte` and `wpe` from dx of (B·T, D). Gathers, for WGSL has no float atomics:
    /// `occurrences` holds V+1 starts, then for each token v the rows b·T+t where it stands, at `starts[v]..starts[v+1]`
    /// behind the starts. Positions begin at 0 here.
    fn embed_backward(
        &mut self,
        size: EmbedSize,
        occurrences: At<Self::Integers>,
        dx: &Self::Floats,
        dparameters: AtMut<Self::Floats>,
    );

    // layer_norm.wgsl (Ba et al. 2016), ε = 1e-5; gain (D) then bias (D) at `weights`

    /// Write: `out = (x − mean)·rstd·gain + bias`, and `moments` of (rows, 2): mean, 1/√(variance + ε).
    fn layer_norm_forward(
        &mut self,
        size: NormSize,
        x: &Self::Floats,
        weights: At<Self::Floats>,
        out: &mut Self::Floats,
        moments: &mut Self::Floats,
    );
    /// Add, or Write unless `size.accumulate`: `dx += rstd·(g − mean(g) − x̂·mean(g·x̂))` with g = dout·gain.
    fn layer_norm_backward(
        &mut self,
        size: NormSize,
        x: &Self::Floats,
        weights: At<Self::Floats>,
        moments: &Self::Floats,
        dout: &Self::Floats,
        dx: &mut Self::Floats,
    );
    /// Add: `dgain += Σ dout·x̂`, then `dbias += Σ dout`.
    fn layer_norm_backward_weights(
        &mut self,
        size: NormSize,
        x: &Self::Floats,
        moments: &Self::Floats,
        dout: &Self::Floats,
        dweights: AtMut<Self::Floats>,
    );

    // matmul.wgsl; W of (inner, columns) and its bias at `weights`

    /// Write: `out = x·W (+ bias)`, x of (rows, inner), out of (rows, columns).
    fn matmul_forward(&mut self, size: MatmulSize, x: &Self::Floats, weights: At<Self::Floats>, out: &mut Self::Floats);
    /// Write: `pre = x·W (+ bias)`, `out = gelu(pre)` in the tanh form (Hendrycks and Gimpel 2016).
    fn matmul_gelu_forward(
        &mut self,
        size: MatmulSize,
        x: &Self::Floats,
        weights: At<Self::Floats>,
        pre: &mut Self::Floats,
        out: &mut Self::Floats,
    );
    /// Write: `out = residual + x·W (+ bias)`, residual and out of (rows, columns).
    fn matmul_residual_forward(
        &mut self,
        size: MatmulSize,
        x: &Self::Floats,
        weights: At<Self::Floats>,
        residual: &Self::Floats,
        out: &mut Self::Floats,
    );
    /// Write: `dx = dout·Wᵀ`, dout of (rows, columns), dx of (rows, inner). Also the unembedding: logits = h·wteᵀ.
    fn matmul_backward_input(
        &mut self,
        size: MatmulSize,
        dout: &Self::Floats,
        weights: At<Self::Floats>,
        dx: &mut Self::Floats,
    );
    /// Write: `dpre = (dout·Wᵀ)·gelu′(pre)`, pre and dpre of (rows, inner).
    fn matmul_gelu_backward_input(
        &mut self,
        size: MatmulSize,
        dout: &Self::Floats,
        weights: At<Self::Floats>,
        pre: &Self::Floats,
        dpre: &mut Self::Floats,
    );
    /// Add: `dW += xᵀ·dout`, and with a bias `dbias += Σ_rows dout`, right behind.
    fn matmul_backward_weights(
        &mut self,
        size: MatmulSize,
        x: &Self::Floats,
        dout: &Self::Floats,
        dweights: AtMut<Self::Floats>,
    );

    // attention.wgsl; qkv of (B·T, 3D) as [q|k|v], heads contiguous inside each, scale 1/√(D/H)

    /// Write: `out` of (B·T, D), and `logsumexps` of (B·T, H), which let the backward pass recompute the weights.
    fn attention_forward(
        &mut self,
        size: AttentionSize,
        qkv: &Self::Floats,
        out: &mut Self::Floats,
        logsumexps: &mut Self::Floats,
    );
    /// Write: `dqkv` of (B·T, 3D).
    fn attention_backward(
        &mut self,
        size: AttentionSize,
        qkv: &Self::Floats,
        out: &Self::Floats,
        logsumexps: &Self::Floats,
        dout: &Self::Floats,
        dqkv: &mut Self::Floats,
    );
    /// One position: qkv of (B, 3D). Stores its key and value in `cache` of (B, capacity, 2D), rows `[k|v]`, and
    /// writes `out` of (B, D) from the positions up to it.
    fn attention_decode_forward(
        &mut self,
        size: DecodeSize,
        qkv: &Self::Floats,
        cache: &mut Self::Floats,
        out: &mut Self::Floats,
    );

    // logprobs.wgsl; per-token numbers are 3 columns of `rows`: logprobs | entropies | logsumexps

    /// Write: `numbers` of (3, rows): log p(target), the entropy of p in nats, log Σ exp(logits).
    fn logprobs_forward(
        &mut self,
        size: LogitsSize,
        logits: &Self::Floats,
        targets: At<Self::Integers>,
        numbers: &mut Self::Floats,
    );
    /// Turns `logits` into their gradient in place, from `dnumbers` of (2, rows): dlogprobs | dentropies.
    /// dlogit_j = dlogprob·(1[j = target] − p_j) − dentropy·p_j·(log p_j + entropy).
    fn logprobs_backward(
        &mut self,
        size: LogitsSize,
        targets: At<Self::Integers>,
        numbers: &Self::Floats,
        dnumbers: &Self::Floats,
        logits: &mut Self::Floats,
    );
    /// Write: `kl_per_token` of (rows): Σ_j p_j·(log p_j − log q_j), p the policy's distribution and q the reference's.
    fn kl_forward(
        &mut self,
        size: LogitsSize,
        policy_logits: &Self::Floats,
        reference_logits: &Self::Floats,
        kl_per_token: &mut Self::Floats,
    );
    /// Write: `sequence_logprobs[b] = Σ_t mask[b,t]·logprobs[b,t]`, mask at `completion_mask`. With values in place of
    /// log-probabilities and a mask of last tokens it picks a reward model's scores.
    fn sequence_logprobs_forward(
        &mut self,
        size: SequenceSize,
        logprobs: &Self::Floats,
        completion_mask: At<Self::Floats>,
        sequence_logprobs: &mut Self::Floats,
    );
    /// Write: `dlogprobs[b,t] = mask[b,t]·dsequence_logprobs[b]`, the first B·T numbers of `dlogprobs`.
    fn sequence_logprobs_backward(
        &mut self,
        size: SequenceSize,
        dsequence_logprobs: &Self::Floats,
        completion_mask: At<Self::Floats>,
        dlogprobs: &mut Self::Floats,
    );

    // objectives/*.wgsl: the twins are the functions of the same names in `crate::objectives`

    /// Write: SFT's loss, `objectives::sft`. `weights` of (rows) is the mask divided by what the loss is
    /// averaged over. `dlogprobs` gets `rows` numbers; `statistics` of (1, rows): the summands of the loss.
    fn sft(
        &mut self,
        rows: usize,
        logprobs: &Self::Floats,
        weights: At<Self::Floats>,
        dlogprobs: &mut Self::Floats,
        statistics: &mut Self::Floats,
    );
    /// Write: DPO's loss or a relative of it, `objectives::dpo`, on P pairs: `sequence_logprobs` holds the chosen, then the
    /// rejected completions' (2·P); `references` likewise. `settings`: β, label smoothing. `dsequence_logprobs` of
    /// (2·P), of the mean loss; `statistics` of (6, P): losses, chosen rewards, rejected rewards,
    /// accuracies, chosen logprobs, rejected logprobs.
    fn dpo(
        &mut self,
        size: DpoSize,
        sequence_logprobs: &Self::Floats,
        references: At<Self::Floats>,
        settings: At<Self::Floats>,
        dsequence_logprobs: &mut Self::Floats,
        statistics: &mut Self::Floats,
    );
    /// Write: `objectives::unlikelihood` on `pairs` pairs, laid out as for `dpo`. `settings`: α. `dsequence_logprobs`
    /// of (2·pairs), of the mean loss; `statistics` of (4, pairs): losses, accuracies, chosen logprobs, rejected logprobs.
    fn unlikelihood(
        &mut self,
        pairs: usize,
        sequence_logprobs: &Self::Floats,
        settings: At<Self::Floats>,
        dsequence_logprobs: &mut Self::Floats,
        statistics: &mut Self::Floats,
    );
    /// Write: the reward model's loss, `objectives::bradley_terry`, on `pairs` pairs: `scores` holds the chosen, then
    /// the rejected completions' (2·pairs). `dscores` of (2·pairs), of the mean loss; `statistics` of (4, pairs):
    /// losses, chosen scores, rejected scores, accuracies.
    fn bradley_terry(
        &mut self,
        pairs: usize,
        scores: &Self::Floats,
        dscores: &mut Self::Floats,
        statistics: &mut Self::Floats,
    );

    // objectives/ppo.wgsl; `rows` tokens that begin at `first` in each column of the network's numbers

    /// Write: PPO's policy loss, `objectives::ppo_policy`. `numbers` of (3, stride) as `logprobs_forward` leaves them;
    /// `weights` of (rows); `rollout` of (2, rows): old logprobs, advantages; `settings`: clip range, entropy
    /// coefficient. `dnumbers` of (2, stride): dlogprobs | dentropies, of these rows alone; `statistics` of (7, rows):
    /// policy loss, k1, k2, k3, clip fraction, ratio, entropy.
    #[allow(clippy::too_many_arguments)]
    fn ppo_policy(
        &mut self,
        size: PpoSize,
        numbers: &Self::Floats,
        weights: At<Self::Floats>,
        rollout: At<Self::Floats>,
        settings: At<Self::Floats>,
        dnumbers: &mut Self::Floats,
        statistics: AtMut<Self::Floats>,
    );
    /// Write: PPO's value loss, `objectives::ppo_value`. `values` of (stride); `weights` of (rows); `rollout` of
    /// (2, rows): old values, returns; `settings`: value clip range, value coefficient. `dvalues` of (stride), of these
    /// rows alone; `statistics` of (2, rows): value loss, clip fraction.
    #[allow(clippy::too_many_arguments)]
    fn ppo_value(
        &mut self,
        size: PpoSize,
        values: &Self::Floats,
        weights: At<Self::Floats>,
        rollout: At<Self::Floats>,
        settings: At<Self::Floats>,
        dvalues: &mut Self::Floats,
        statistics: AtMut<Self::Floats>,
    );

    // rollout.wgsl

    /// Write: `record` of (7, rows), so that one read brings all that a rollout leaves: tokens, as reals | logprobs |
    /// entropies | reference logprobs | KL per token | values | scores. `numbers` and `reference_numbers` are (3, rows)
    /// as `logprobs_forward` leaves them, the other sources (rows).
    #[allow(clippy::too_many_arguments)]
    fn record_rollout(
        &mut self,
        rows: usize,
        tokens: &Self::Integers,
        numbers: &Self::Floats,
        reference_numbers: &Self::Floats,
        kl_per_token: &Self::Floats,
        values: &Self::Floats,
        scores: &Self::Floats,
        record: &mut Self::Floats,
    );

    // optimiser.wgsl

    /// Write: `partials[i]` of [`NORM_PARTIALS`], whose sum is the squared L2 norm of `values` (its first `len`).
    fn squared_norm(&mut self, len: usize, values: &Self::Floats, partials: &mut Self::Floats);
    /// Write: one line of `metrics`: the sum of each of `columns` statistics, then the gradient's L2 norm, at
    /// `metrics[slot·(columns + 1)]` with the slot read from `settings[0]`. Readback can wait for many steps.
    fn record_metrics(
        &mut self,
        size: MetricsSize,
        statistics: &Self::Floats,
        partials: &Self::Floats,
        settings: At<Self::Floats>,
        metrics: &mut Self::Floats,
    );
    /// One AdamW update in place. `settings`: learning rate, 1 − β₁ᵗ, 1 − β₂ᵗ. Scales gradients by
    /// min(1, max_norm/norm) first, leaves them at zero, and leaves everything alone if the norm is not finite.
    fn adamw(
        &mut self,
        size: AdamwSize,
        settings: At<Self::Floats>,
        partials: &Self::Floats,
        parameters: &mut Self::Floats,
        gradients: &mut Self::Floats,
        moments: (&mut Self::Floats, &mut Self::Floats),
    );

    // sample.wgsl

    /// Draws the token at `position + 1` of each sequence by inverting the cumulative distribution of
    /// logits·(1/temperature) at the coin `coins[b·length + position]`; temperature 0 takes the likeliest. Within the
    /// prompt (`prompt_lengths[b] > position + 1`) the token stays; behind an end or padding, padding is written.
    /// `settings`: temperature.
    fn sample(
        &mut self,
        size: SampleSize,
        logits: &Self::Floats,
        coins: At<Self::Floats>,
        settings: At<Self::Floats>,
        prompt_lengths: At<Self::Integers>,
        tokens: &mut Self::Integers,
    );

    // generate.wgsl

    /// Completes the sequences of `tokens` (B, length) from their prompts of `prompt_lengths` (B): what
    /// [`crate::backend::network::Network::generate`] does position by position, at once. `parameters` are all of
    /// the model's; `coins` of (B, length); `settings`: temperature; `cache` of (L, B, length, 2D) gets keys and values.
    /// Only for models that [`Kernels::generates`].
    #[allow(clippy::too_many_arguments)]
    fn generate(
        &mut self,
        size: GenerateSize,
        parameters: &Self::Floats,
        coins: At<Self::Floats>,
        settings: At<Self::Floats>,
        prompt_lengths: &Self::Integers,
        cache: &mut Self::Floats,
        tokens: &mut Self::Integers,
    );
}
